"""Ctrl-C as a request to stop: long work checks for it between two steps, saves, and ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["stop_signal"]


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
