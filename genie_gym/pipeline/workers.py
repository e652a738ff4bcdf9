"""Worker processes that play episodes on request, each with its own emulator, and the crew their parent commands."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from genie_gym import data, games
from genie_gym.errors import GenieGymError
from genie_gym.pipeline.policies import Policy
from genie_gym.pipeline.rollout import episode_seed, play_episode

__all__ = ["Crew", "Job"]

STOP_SECONDS = 10  # a worker that has packed its episodes ends at once; one that hangs is stopped after this long


@dataclass(frozen=True)
class Job:
    """What every worker of one collection needs to know; it travels to the worker processes by pickle."""

    game: str
    folder: Path
    header: dict[str, Any]
    policy_name: str
    policy: Policy
    seed: int
    max_steps: int
    large: int | None = None  # side of the finer pictures kept beside the frames

    def episode_id(self, index: int) -> str:
        """The name of this run's episode number `index`."""
        return f"{self.policy_name}-{self.seed}-{index:06d}"


class Crew:
    """The workers of one job, as a context manager that ends them all however it is left.

    Raises:
        GenieGymError: from `events`, whatever a worker raised; or that a worker died without a word.
    """

    def __init__(self, job: Job, workers: int):
        # Forked from a server, not from this process: emulators and HDF5 keep state that must not be copied into a
        # second one. The server loads once what all workers need, also those of the next crew.
        context = multiprocessing.get_context("forkserver")
        multiprocessing.set_forkserver_preload([__name__, *getattr(job.policy, "modules", ())])
        self._workers: dict[Connection, BaseProcess] = {}
        for _ in range(workers):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(job, theirs, dict(os.environ)), daemon=True)
            process.start()
            theirs.close()  # so that the worker's end closes when the worker dies
            self._workers[mine] = process

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for connection, process in self._workers.items():
            if kind is not None:
                process.terminate()  # at once: whatever is on disk stays whole
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            connection.close()

    def events(self) -> Iterator[tuple[Connection, str, int]]:
        """What happens, as it happens, until all workers have ended: (worker, kind, number).

        Kinds: "ready" for the next order (number is the steps of the episode just stored, 0 at the start),
        "steps" taken since the last such event, and "end".
        """
        open_ends = set(self._workers)
        while open_ends:
            for connection in wait(list(open_ends)):
                assert isinstance(connection, Connection)
                kind, content = self._receive(connection)
                if kind == "error":
                    raise content
                if kind == "end":
                    open_ends.remove(connection)
                yield connection, kind, content

    def order(self, worker: Connection, index: int | None) -> None:
        """Tells a ready worker which episode to play next, or to end (None)."""
        with suppress(ConnectionError):  # it died meanwhile: `events` will say so
            worker.send(index)

    def _receive(self, connection: Connection) -> tuple[str, Any]:
        try:
            return connection.recv()
        except (EOFError, ConnectionError):
            process = self._workers[connection]
            process.join(STOP_SECONDS)
            raise GenieGymError(
                f"a worker process died (exit code {process.exitcode}); what it stored is kept: run the same command "
                'to go on. If this is a script, it must call collect under `if __name__ == "__main__":`'
            ) from None


def _work(job: Job, parent: Connection, environment: dict[str, str]) -> None:
    """A worker process: plays each episode whose index it is sent, until it is sent None or the parent is gone.

    The environment is the parent's of now; the server's may be of an earlier time.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    try:
        _play_orders(job, parent)
        parent.send(("end", 0))
    except (EOFError, BrokenPipeError):  # the parent is gone
        return
    except GenieGymError as error:
        parent.send(("error", error))
    except Exception as error:
        parent.send(("error", GenieGymError(f"{job.game} failed while collecting: {type(error).__name__}: {error}")))


def _play_orders(job: Job, parent: Connection) -> None:
    env = games.make(job.game, detailed=job.large is not None)
    with data.RecordingWriter(job.folder, job.header) as writer:
        parent.send(("ready", 0))
        while (index := parent.recv()) is not None:
            seed = episode_seed(job.seed, index, job.policy_name)
            episode = play_episode(env, job.policy, seed, job.max_steps, lambda n: parent.send(("steps", n)), job.large)
            episode.info.update(id=job.episode_id(index), policy=job.policy_name, run_seed=job.seed, index=index)
            writer.append(episode)
            parent.send(("ready", len(episode) - 1))
    env.close()
