"""Work shared among processes: results in order, errors passed on, and Ctrl-C ends all of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genie_gym.data.convert.pool import in_processes
from genie_gym.errors import DataError, GenieGymError
from tests.clips import moving_bar, write_clip


def double_or_fail(number: int) -> int:
    if number == 13:
        raise DataError("thirteen")
    if number == 99:
        os._exit(1)
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_in_order_and_errors(workers):
    assert list(in_processes(double_or_fail, [3, 1, 2, 5], workers)) == [6, 2, 4, 10]
    with pytest.raises(DataError, match="thirteen"):
        list(in_processes(double_or_fail, [1, 13, 2], workers))


def test_a_worker_that_dies():
    with pytest.raises(GenieGymError, match="a worker process died"):
        list(in_processes(double_or_fail, [1, 99, 2], 2))


@pytest.mark.slow
def test_ctrl_c_ends_the_workers(tmp_path):
    times = np.arange(30) / 15
    clip = write_clip(tmp_path / "0.mp4", times, moving_bar(times, 20)).read_bytes()
    for index in range(400):
        (tmp_path / f"{index}.mp4").write_bytes(clip)
    command = [
        sys.executable,
        "-m",
        "genie_gym",
        "convert",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--workers",
        "2",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert "1 of 400" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "genie-gym: interrupted\n")
    deadline = time.monotonic() + 20  # far less than 400 videos take
    while left := [place for place in Path("/proc").glob("[0-9]*") if in_session(place, process.pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def in_session(place: Path, session: int) -> bool:
    try:
        return int((place / "stat").read_text().rpartition(")")[2].split()[3]) == session
    except OSError:  # it has ended
        return False
