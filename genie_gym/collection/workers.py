"""Worker processes that each run an emulator, and the pool through which the parent process drives them."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from genie_gym.collection.player import Job, Player
from genie_gym.errors import GenieGymError
from genie_gym.utils.signals import interrupts_held

__all__ = ["WorkerPool"]

STOP_SECONDS = 10  # time a worker has to pack its episodes before it is killed


class WorkerPool:
    """Worker processes on this machine, as a context manager that always ends them.

    Args:
        jobs: The games to collect.
        workers: Number of processes.

    Raises:
        GenieGymError: From `events`: an error raised in a worker, or a worker died.
    """

    def __init__(self, jobs: Sequence[Job], workers: int):
        # Forked from a server process rather than this one: emulators and HDF5 hold state that must not be copied.
        # The server imports once what all workers need, including those of the next pool.
        context = multiprocessing.get_context("forkserver")
        modules = {module for job in jobs for module in getattr(job.policy, "modules", ())}
        multiprocessing.set_forkserver_preload([__name__, *sorted(modules)])
        self._workers: dict[Connection, BaseProcess] = {}
        with interrupts_held():  # the fork server and its imports included; the parent decides what Ctrl-C means
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(jobs, theirs, dict(os.environ)), daemon=True)
                process.start()
                theirs.close()  # so that the worker's end closes when the worker dies
                self._workers[ours] = process
        self._running = set(self._workers)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for connection, process in self._workers.items():
            if kind is not None:
                process.terminate()  # safe at any moment: files on disk are complete or absent
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            connection.close()

    def events(self) -> Iterator[tuple[Connection, str, int]]:
        """Yield events (worker, kind, number) as they happen, until all workers have ended.

        Kinds: "ready" for an episode, of which `send` gives the numbers of its job and its own, or None to end; "steps"
        (number of steps since the last such event); "played" an episode (number of steps), of which `send` must say
        whether to store it; "stored" (number of steps); and "end".
        """
        while self._running:
            for connection in wait(list(self._running)):
                assert isinstance(connection, Connection)
                if connection not in self._running:  # abandoned meanwhile
                    continue
                kind, content = self._receive(connection)
                if kind == "error":
                    raise content
                if kind == "end":
                    self._running.remove(connection)
                yield connection, kind, content

    def send(self, worker: Connection, answer: tuple[int, int] | bool | None) -> None:
        """Answer the last event of a worker."""
        with suppress(ConnectionError):  # the worker died: `events` reports it
            worker.send(answer)

    def abandon(self, workers: Iterable[Connection]) -> None:
        """End workers at once, whose episodes are not needed: at any moment files are complete or absent."""
        for worker in workers:
            self._workers[worker].terminate()
            self._running.discard(worker)

    def _receive(self, connection: Connection) -> tuple[str, Any]:
        try:
            return connection.recv()
        except (EOFError, ConnectionError):
            process = self._workers[connection]
            process.join(STOP_SECONDS)
            raise GenieGymError(
                f"a worker process died (exit code {process.exitcode}); the stored episodes are kept: rerun the same "
                'command to resume. A script must call collect under `if __name__ == "__main__":`'
            ) from None


def _work(jobs: Sequence[Job], parent: Connection, environment: dict[str, str]) -> None:
    """Run a worker process: collect each episode that is received, until None or the parent is gone.

    The environment variables are those of the parent now; the fork server may have older ones.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    player = Player(jobs)
    try:
        _collect_episodes(player, parent)
        parent.send(("end", 0))
    except (EOFError, BrokenPipeError):  # the parent is gone
        return
    except Exception as error:
        with suppress(ConnectionError):  # the parent is gone, which may be the error itself
            parent.send(("error", player.failure(error)))


def _collect_episodes(player: Player, parent: Connection) -> None:
    parent.send(("ready", 0))
    while (task := parent.recv()) is not None:
        steps = player.play(task[0], task[1], lambda steps: parent.send(("steps", steps)))
        parent.send(("played", steps))
        if parent.recv():
            parent.send(("stored", player.store()))
        parent.send(("ready", 0))
    player.close()
