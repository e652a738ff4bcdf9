"""Files written whole: kills, full disks and several writers at once."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genie_gym.errors import DataError
from genie_gym.utils.atomic import PARTIAL_FILES, atomic_write, check_writable, remove_partial_files

SIZE = 4_000_000

WRITE_FOR_EVER = f"""
import sys
from pathlib import Path
from genie_gym.utils.atomic import atomic_write
letter = sys.argv[2].encode()
while True:
    atomic_write(Path(sys.argv[1]), letter * {SIZE})
    print("written", flush=True)
"""

WRITE_LIMITED = """
import resource, sys
from pathlib import Path
from genie_gym.errors import DataError
from genie_gym.utils.atomic import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(Path(sys.argv[1]), b"n" * 5000)
except DataError as error:
    print(error)
"""


def python(code: str, *arguments: object) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def is_whole(content: bytes) -> bool:
    return len(content) == SIZE and len(set(content)) == 1


def test_writes_and_makes_the_folder(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    for content in (b"old and longer", b"new", b""):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_a_kill_leaves_the_old_content_or_the_new(tmp_path):
    path = tmp_path / "file.bin"
    for letter in "abc":
        process = python(WRITE_FOR_EVER, path, letter)
        process.stdout.readline()
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(PARTIAL_FILES)):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert is_whole(path.read_bytes())
        remove_partial_files(tmp_path)
        assert [left.name for left in tmp_path.iterdir()] == ["file.bin"]


def test_several_writers_of_one_path(tmp_path):
    path = tmp_path / "file.bin"
    writers = [python(WRITE_FOR_EVER, path, letter) for letter in "xy"]
    for writer in writers:
        writer.stdout.readline()
    seen = set()
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        content = path.read_bytes()
        assert is_whole(content)
        seen.add(content[:1])
    for writer in writers:
        writer.kill()
        writer.wait()
    assert seen == {b"x", b"y"}


def test_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    printed, _ = python(WRITE_LIMITED, path).communicate(timeout=60)
    assert "no room for file.bin (5,000 bytes" in printed and "set GENIE_GYM_HOME to another disk" in printed
    assert len(printed.splitlines()) == 1
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_full_disk_when_making_the_folder(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DataError, match=rf"no room for file\.bin .* bytes free in {tmp_path};"):
        atomic_write(tmp_path / "new" / "folder" / "file.bin", b"x")


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot write .*taken/file.bin: .*; check the permissions"):
        atomic_write(tmp_path / "taken" / "file.bin", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Permission denied"):
        atomic_write(tmp_path / "file.bin", b"x")


def test_a_folder_is_tried_before_the_work(tmp_path):
    check_writable(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []  # nothing is left of the trial
    with pytest.raises(DataError, match="GiB free; free some space"):
        check_writable(tmp_path / "new" / "folder", size=2**60)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / (5000 * "x")):
        with pytest.raises(DataError, match="cannot write"):
            check_writable(place)
