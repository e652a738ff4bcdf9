"""How far long work is: a bar on a terminal, plain lines elsewhere."""

import contextlib
import io
import multiprocessing
import os
import pty
import sys
from types import SimpleNamespace

import pytest

from genie_gym.utils.progress import ProgressDisplay, tracked


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a test says so."""
    now = [1000.0]
    monkeypatch.setattr("genie_gym.utils.progress.display.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_line_each_ten_seconds_where_there_is_no_terminal(clock, capsys):
    with ProgressDisplay("Pong", 1000, 200, unit="steps") as display:
        for done in range(300, 1001, 100):
            clock[0] += 4
            display.update(done, f"{done} frames/s")
    printed, lines = capsys.readouterr()
    assert printed == ""
    assert lines.splitlines() == [
        "Pong: 500 of 1,000 steps, 500 frames/s, 50%, about 20 s left",
        "Pong: 800 of 1,000 steps, 800 frames/s, 80%, about 8 s left",
    ]
    assert "\r" not in lines and "\x1b" not in lines


def test_short_work_says_nothing(clock, capsys):
    assert list(tracked(range(5), "counting", 5)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_work_of_unknown_length(clock, capsys):
    for _ in tracked(range(3), "looking through", unit="frames"):
        clock[0] += 6
    assert capsys.readouterr().err == "looking through: 2 frames\n"


def test_work_within_work_and_hidden_work_says_nothing(clock, capsys):
    with ProgressDisplay("outer", 2) as outer:
        for _ in tracked(range(3), "inner", 3):
            clock[0] += 11
        outer.advance()
    with ProgressDisplay("hidden", 2, shown=False) as hidden:
        clock[0] += 11
        hidden.advance()
    assert capsys.readouterr().err == "outer: 1 of 2, 50%, about 33 s left\n"


def test_work_that_fails_ends_its_display(clock, capsys):
    with pytest.raises(OSError), ProgressDisplay("failing", 2):
        raise OSError
    for _ in tracked(range(2), "next", 2):
        clock[0] += 6
    assert capsys.readouterr().err.startswith("next: 2 of 2")


def loud(seconds: float) -> str:
    """Work in another process; returns what it wrote."""
    sys.stderr = io.StringIO()
    from genie_gym.utils.progress import display

    display.SECONDS_BETWEEN_LINES = -1
    list(tracked(range(3), "worker", 3))
    return sys.stderr.getvalue()


def test_workers_say_nothing():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(loud, (0.0,)) == ""
    before = sys.stderr
    try:
        assert loud(0.0).count("worker: ") == 3  # this process does
    finally:
        sys.stderr = before


def test_a_bar_on_a_terminal(monkeypatch):
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert list(tracked([1, 2], "[bold]a.mp4", 2)) == [1, 2]
        assert list(tracked([1, 2, 3], "no end in sight", unit="frames")) == [1, 2, 3]
    pieces = []
    with contextlib.suppress(OSError):  # what Linux says at the end of a terminal; one read returns a part of it
        while piece := os.read(master, 4096):
            pieces.append(piece)
    os.close(master)
    written = b"".join(pieces).decode()
    assert "[bold]a.mp4" in written and "2 of 2" in written and "3 frames" in written and "\x1b[" in written
