"""The same work on many files, by as many processes as asked for."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from genie_gym.errors import GenieGymError
from genie_gym.utils.signals import interrupts_held

__all__ = ["in_processes"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Yield the result of each item, in order. A single item, or a single worker, needs no other process.

    Scripts must call it under `if __name__ == "__main__":`, because the processes import the script.

    Raises:
        GenieGymError: `work` raised it, or a process died.
    """
    workers = min(workers, len(items))
    if workers < 2:
        yield from map(work, items)
        return
    # Forked from a server process rather than this one: OpenCV, FFmpeg and HDF5 hold state that must not be copied.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    pool, others = ProcessPoolExecutor(workers, context), multiprocessing.active_children()
    try:
        with interrupts_held():  # this process decides what Ctrl-C means
            results = pool.map(work, items)
        processes = [child for child in multiprocessing.active_children() if child not in others]
        try:
            yield from results
        except BaseException:
            for process in processes:
                process.terminate()  # safe at any moment: files on disk are complete or absent
            raise
    except BrokenProcessPool:
        raise GenieGymError(
            "a worker process died, perhaps for lack of memory; the stored episodes are kept: rerun the same command, "
            'with fewer --workers. A script must call convert under `if __name__ == "__main__":`'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
