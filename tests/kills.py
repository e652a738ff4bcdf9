"""Work that is killed at random moments, again and again, as kill -9 or a power cut would."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

__all__ = ["FORK", "killed", "kills"]

FORK = multiprocessing.get_context("fork")  # what is imported already need not be imported each time


def killed(work: Callable[[], object], seconds: float) -> bool:
    """Do some work in a process group of its own, and kill all of it after so long; whether it was still at it."""

    def alone() -> None:
        os.setpgid(0, 0)
        work()

    process = FORK.Process(target=alone)
    process.start()
    process.join(seconds)
    with suppress(ProcessLookupError):  # it has ended, or has no group yet
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), "the work failed"
    return process.exitcode != 0


def kills(work: Callable[[], object], number: int, share: float) -> Iterator[bool]:
    """Kill some work so often, each time after a random part of `share` of what it takes once from its beginning.

    Work that comes to its end meanwhile does not count. Yields after every kill and every end, whether it was a kill.
    """
    rng, started, done = np.random.default_rng(0), time.monotonic(), 0
    assert not killed(work, 600)
    whole = time.monotonic() - started  # longer on a busy machine
    yield False
    while done < number:
        died = killed(work, rng.uniform(0, share * whole))
        done += died
        yield died
