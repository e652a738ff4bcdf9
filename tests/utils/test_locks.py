"""A folder for one process at a time."""

import fcntl
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from genie_gym.errors import ConfigError
from genie_gym.utils.locks import run_lock, short_lock

HOLD_LOCK = """
import sys
from pathlib import Path
from genie_gym.utils.locks import run_lock
with run_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path):
    """A process that holds the lock until it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(folder)], env=environment, **pipes) as process:
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def is_free(folder: Path) -> bool:
    """Whether the lock is free, asked of flock itself."""
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_keeps_other_processes_out(tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.utils.locks.DYING_SECONDS", 0.1)
    with another_process(tmp_path / "run"):
        message = f"another process is training in {tmp_path / 'run'}"
        with pytest.raises(ConfigError, match=message), run_lock(tmp_path / "run"):
            pass
        assert not is_free(tmp_path / "run") and is_free(tmp_path / "other")


def test_a_killed_process_releases_its_lock(tmp_path):
    with another_process(tmp_path) as process:
        process.kill()
        process.wait()
        assert is_free(tmp_path)


def test_a_process_that_is_about_to_end_is_waited_for(tmp_path):
    with another_process(tmp_path) as process:
        ending = threading.Timer(0.3, process.kill)
        ending.start()
        with run_lock(tmp_path):
            assert process.wait() != 0  # it held the lock when we asked for it
        ending.join()


def test_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="mine"), run_lock(tmp_path):
        raise ValueError("mine")
    assert is_free(tmp_path)


def test_where_nothing_can_be_locked_there_is_no_lock(tmp_path):
    (tmp_path / "file").touch()
    with run_lock(tmp_path / "file" / "run"):
        assert (tmp_path / "file").is_file()


def test_a_short_lock_is_waited_for_and_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.utils.locks.WAIT_SECONDS", 0.05)
    refused = pytest.raises(ConfigError, match=r"another process holds .*x\.lock")
    with short_lock(tmp_path / "x.lock"), refused, short_lock(tmp_path / "x.lock"):
        pass
    with short_lock(tmp_path / "x.lock"):
        pass
