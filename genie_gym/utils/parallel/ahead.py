"""Values computed ahead by a thread, so that they are there when they are needed."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["Ahead"]

Argument = TypeVar("Argument")
Value = TypeVar("Value")


class Ahead(Generic[Value]):
    """The values of a function for some arguments, in order, as a context manager.

    One thread computes them one after the other, and begins when the first one is asked for.

    Args:
        compute: The function. Which values it returns must not depend on when it is called.
        arguments: The arguments, without end.
        depth: How many values may wait to be taken; 0 computes each when it is asked for, without a thread.
    """

    def __init__(self, compute: Callable[[Argument], Value], arguments: Iterator[Argument], depth: int):
        self._compute, self._arguments, self._depth = compute, arguments, depth
        self._waiting = deque[Future[Value]]()
        self._thread = ThreadPoolExecutor(1, "ahead") if depth else None  # which starts with the first value

    def __enter__(self) -> "Ahead[Value]":
        return self

    def __exit__(self, *exception: object) -> None:
        self._waiting.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def take(self) -> Value:
        """Return the next value; raises what the function raised for it."""
        if self._thread is None:
            return self._compute(next(self._arguments))
        while len(self._waiting) <= self._depth:
            self._waiting.append(self._thread.submit(self._compute, next(self._arguments)))
        return self._waiting.popleft().result()
