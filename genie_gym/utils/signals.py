"""Ctrl-C: a request to stop for long work, which saves and ends; one line and no traceback for all else."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = [
    "end_quietly_when_interrupted",
    "interruptible",
    "interrupts_held",
    "leave_at_once_when_interrupted",
    "stop_signal",
]

INTERRUPTED = 130  # exit code, as shells know it


@contextmanager
def stop_signal() -> Iterator[list[int]]:
    """Yield a list that is empty until Ctrl-C or SIGTERM; a second one interrupts immediately."""
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where Python handles no signals
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_at_once_when_interrupted() -> None:
    """From now on let Ctrl-C end the process at once, with one line: while it starts and ends, nothing can be lost."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as in the background of a script
        signal.signal(signal.SIGINT, _leave)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt once; in a process that `leave_at_once_when_interrupted` was called in.

    While a module is imported it still ends the process: the C code of packages may lose an exception, or print it.
    """
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) not in (_ignore_once, _end):
            signal.signal(signal.SIGINT, _leave)


def end_quietly_when_interrupted() -> None:
    """From now on let Ctrl-C say nothing: the process is about to say its last line, and to end.

    The first changes nothing, so that the line is said, and a second ends it at once, in a process that
    `leave_at_once_when_interrupted` was called in.
    """
    if signal.getsignal(signal.SIGINT) in (_interrupt, _leave):
        signal.signal(signal.SIGINT, _ignore_once)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Start processes within it that never hear of Ctrl-C, not even while they start; here it is heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker  # would slow down the start of every command

    resource_tracker.ensure_running()  # started with other processes, it would let interrupts through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"genie-gym: interrupted\n")
    os._exit(INTERRUPTED)


def _ignore_once(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    place = frame
    while place is not None:
        if place.f_code.co_filename.startswith("<frozen importlib"):
            _leave(number, frame)
        place = place.f_back
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt
