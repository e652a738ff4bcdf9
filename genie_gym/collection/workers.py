"""Worker processes that each run an emulator, and the pool through which the parent process drives them."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from genie_gym import data, games
from genie_gym.collection.config import CollectConfig
from genie_gym.collection.policies import Policy
from genie_gym.collection.rollout import episode_seed, play_episode
from genie_gym.errors import GenieGymError
from genie_gym.utils.signals import interrupts_held

__all__ = ["HIGH_RES_SIZE", "Job", "WorkerPool"]

HIGH_RES_SIZE = 256  # side of the high-resolution frames in pixels, as the paper's upscaler produces them
STOP_SECONDS = 10  # time a worker has to pack its episodes before it is killed


@dataclass(frozen=True)
class Job:
    """Everything the workers of one collection need; sent to the worker processes by pickle.

    Attributes:
        config: The configuration of the collection.
        game: Specification of the game, from which each worker makes it.
        folder: Folder of the dataset.
        header: Header of the dataset.
        policy_name: Name of the policy in ids and the header.
        policy: The policy itself.
    """

    config: CollectConfig
    game: games.GameSpec
    folder: Path
    header: dict[str, Any]
    policy_name: str
    policy: Policy

    def episode_id(self, index: int) -> str:
        """Return the id of the episode with that index."""
        return f"{self.policy_name}-{self.config.seed}-{index:06d}"


class WorkerPool:
    """The workers of one job, as a context manager that always ends them.

    Raises:
        GenieGymError: From `events`: an error raised in a worker, or a worker died.
    """

    def __init__(self, job: Job, workers: int):
        # Forked from a server process rather than this one: emulators and HDF5 hold state that must not be copied.
        # The server imports once what all workers need, including those of the next pool.
        context = multiprocessing.get_context("forkserver")
        multiprocessing.set_forkserver_preload([__name__, *getattr(job.policy, "modules", ())])
        self._workers: dict[Connection, BaseProcess] = {}
        with interrupts_held():  # the fork server and its imports included; the parent decides what Ctrl-C means
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(job, theirs, dict(os.environ)), daemon=True)
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

        Kinds: "ready" for the number of an episode, which `send` gives, or None to end; "steps" (number of steps since
        the last such event); "played" an episode (number of steps), of which `send` must say whether to store it;
        "stored" (number of steps); and "end".
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

    def send(self, worker: Connection, answer: int | bool | None) -> None:
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


def _work(job: Job, parent: Connection, environment: dict[str, str]) -> None:
    """Run a worker process: collect each episode whose index is received, until None or the parent is gone.

    The environment variables are those of the parent now; the fork server may have older ones.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    try:
        _collect_episodes(job, parent)
        parent.send(("end", 0))
    except (EOFError, BrokenPipeError):  # the parent is gone
        return
    except GenieGymError as error:
        parent.send(("error", error))
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        parent.send(("error", GenieGymError(f"{job.game.name} failed while collecting: {what}")))


def _collect_episodes(job: Job, parent: Connection) -> None:
    config, side = job.config, HIGH_RES_SIZE if job.config.high_res else None
    env = games.make(job.game, detailed=config.high_res)
    with data.EpisodeWriter(job.folder, job.header) as writer:
        parent.send(("ready", 0))
        while (index := parent.recv()) is not None:
            seed = episode_seed(config.seed, index, job.policy_name)
            episode = play_episode(
                env, job.policy, seed, config.max_steps, lambda steps: parent.send(("steps", steps)), side
            )
            parent.send(("played", len(episode.actions)))
            if parent.recv():
                episode.info.update(id=job.episode_id(index), policy=job.policy_name, run_seed=config.seed, index=index)
                writer.append(episode)
                parent.send(("stored", len(episode.actions)))
            parent.send(("ready", 0))
    env.close()
