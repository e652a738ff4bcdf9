"""Collecting on the nodes of a Ray cluster: players on every node, and their episodes brought to one folder.

An episode is written to the disk of the node that played it, into the folder `staged` in the folder that the dataset
has there. In the end the driver, which has the dataset, fetches these files and the nodes delete them. It does not
matter whether nodes share a disk.
"""

import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from genie_gym import data
from genie_gym.collection.plan import Task
from genie_gym.collection.player import Job, Player
from genie_gym.data.storage import Storage
from genie_gym.errors import GenieGymError, first_line
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.parallel.cluster import RayCluster

__all__ = ["Cluster", "ClusterPool"]

PATIENCE = 30  # seconds without a free CPU after which the user hears of it
MAX_LOSSES = 3  # workers that may die over one episode, or before their first one

Place = tuple[Path | None, str]  # folder of a dataset if it was named, and the game; each node has its own data folder


class Cluster(RayCluster):
    """A Ray cluster whose nodes collect episodes; see `RayCluster`."""

    def pool(self, jobs: Sequence[Job], workers: int | None) -> "ClusterPool":
        """Return workers on the cluster's nodes, one for each CPU by default.

        Raises:
            ConfigError: The cluster has no CPU.
        """
        return ClusterPool(self.ray, jobs, workers or self.cpus())

    def gather(self, jobs: Sequence[Job]) -> None:
        """Move the episodes that nodes have stored into the folders of their datasets here.

        Those of nodes that do not answer stay there, which a warning says.

        Raises:
            GenieGymError: A node cannot read or delete its files.
            DataError: A folder here cannot be written.
        """
        for node in self.ray.nodes():
            if not node["Alive"]:
                continue
            try:
                self._gather_from(node["NodeID"], jobs)
            except self.ray.exceptions.RayTaskError as error:
                raise GenieGymError(f"a node of the Ray cluster failed: {first_line(error.cause)}") from error
            except self.ray.exceptions.RayError:
                name = node.get("NodeName", "a node")
                warnings.warn(f"{name} does not answer; what only it has is collected again", stacklevel=2)

    def _gather_from(self, node: str, jobs: Sequence[Job]) -> None:
        places = [_place(job) for job in jobs]
        for number, (header, names) in self._on(node, _staged, places).items():
            folder = jobs[number].folder
            for run in header.pop("runs"):
                run.pop("versions", None)  # may be others here, which would make it another run
                data.EpisodeWriter(folder, {**header, **run}).close()
            for name in names:
                if not paths.exists(folder / name):
                    atomic_write(folder / name, self._on(node, _read, places[number], name))
            self._on(node, _delete, places[number], names)

    def _on(self, node: str, function: Any, *arguments: Any) -> Any:
        """Call a function on a node, whatever else that does."""
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        remote = self.ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=strategy)(function)
        return self.ray.get(remote.remote(*arguments))


class ClusterPool:
    """Workers on the nodes of a Ray cluster, driven as those of `genie_gym.collection.workers.WorkerPool`.

    A worker that dies, alone or with its node, is replaced by one wherever a CPU is free, after an event "lost".

    Args:
        ray: The module.
        jobs: The games to collect.
        workers: Number of workers.

    Raises:
        GenieGymError: From `events`: an error raised in a worker, or workers died again and again.
    """

    def __init__(self, ray: Any, jobs: Sequence[Job], workers: int):
        self._ray, self._jobs = ray, ray.put(list(jobs))
        # Spread, as one node's disk and memory bus would be the limit before its CPUs are.
        self._kind = ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(_RemotePlayer)
        self._players: dict[int, Any] = {}
        self._answers: dict[Any, tuple[int, str]] = {}  # what is awaited: its worker, and the event that it will be
        self._events = deque[tuple[int, str, int]]()
        self._tasks: dict[int, Task] = {}
        self._losses = Counter[Task | None]()
        for worker in range(workers):
            self._start(worker)

    def __enter__(self) -> "ClusterPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self.abandon(list(self._players))

    def events(self) -> Iterator[tuple[int, str, int]]:
        """Yield events (worker, kind, number) as `WorkerPool.events` does, and "lost" when a worker died.

        "steps" comes with "played" only.
        """
        while self._answers or self._events:
            if self._events:
                yield self._events.popleft()
                continue
            done, _ = self._ray.wait(list(self._answers), timeout=PATIENCE)
            if not done and not self._tasks:
                warnings.warn("no CPU of the Ray cluster is free yet; waiting for one (Ctrl-C ends)", stacklevel=2)
            for answer in done:
                worker, kind = self._answers.pop(answer)
                self._arrived(worker, kind, answer)

    def send(self, worker: int, answer: Task | bool | None) -> None:
        """Answer the last event of a worker."""
        player = self._players[worker]
        if answer is False:
            self._events.append((worker, "ready", 0))
        elif answer is True:
            self._answers[player.store.remote()] = worker, "stored"
        elif answer is None:
            self._answers[player.close.remote()] = worker, "end"
        else:
            self._tasks[worker] = answer
            self._answers[player.play.remote(*answer)] = worker, "played"

    def abandon(self, workers: Iterable[int]) -> None:
        """End workers at once, whose episodes are not needed: at any moment files are complete or absent."""
        workers = set(workers)
        self._answers = {answer: kind for answer, kind in self._answers.items() if kind[0] not in workers}
        self._events = deque(event for event in self._events if event[0] not in workers)
        for worker in workers & self._players.keys():
            self._ray.kill(self._players.pop(worker))

    def _start(self, worker: int) -> None:
        self._players[worker] = self._kind.remote(self._jobs)
        self._answers[self._players[worker].hello.remote()] = worker, "ready"

    def _arrived(self, worker: int, kind: str, answer: Any) -> None:
        try:
            number = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            self._died(worker, kind, error)
            return
        if isinstance(number, GenieGymError):
            raise number
        self._losses[None] = 0
        if kind == "played":
            self._events.append((worker, "steps", number))
        self._events.append((worker, kind, number))
        if kind == "stored":
            self._events.append((worker, "ready", 0))
        elif kind == "end":
            self._ray.kill(self._players.pop(worker))  # its CPU is another's

    def _died(self, worker: int, kind: str, error: Exception) -> None:
        """Replace a worker, unless too many have died."""
        self._ray.kill(self._players.pop(worker))  # or it might only be out of reach
        if kind == "end":
            return
        task = self._tasks.pop(worker, None)
        self._losses[task] += 1
        if self._losses[task] > MAX_LOSSES:
            raise GenieGymError(
                f"workers on the Ray cluster die again and again ({first_line(error)}); see its logs; what was stored "
                "is kept: rerun the same command to resume"
            )
        self._events.append((worker, "lost", 0))
        self._start(worker)


class _RemotePlayer:
    """The actor: a `Player` whose errors are values, and which stores where it is."""

    def __init__(self, jobs: Sequence[Job]):
        self._player = Player([replace(job, folder=_staging(_place(job))) for job in jobs])

    def hello(self) -> int:
        """Return 0, once the actor has started."""
        return 0

    def play(self, job: int, index: int) -> int | GenieGymError:
        """Play an episode and return its number of steps."""
        try:
            return self._player.play(job, index)
        except Exception as error:
            return self._player.failure(error)

    def store(self) -> int | GenieGymError:
        """Write the episode that was played last and return its number of steps."""
        try:
            return self._player.store()
        except Exception as error:
            return self._player.failure(error)

    def close(self) -> int | GenieGymError:
        """Pack the episodes that were stored, and end the emulator."""
        try:
            self._player.close()
        except Exception as error:
            return self._player.failure(error)
        return 0


# -- What the driver lets a node do with its files -------------------------------------------------------------------


def _place(job: Job) -> Place:
    return job.config.out and Path(job.config.out).absolute(), job.game.name


def _staging(place: Place) -> Path:
    folder, game = place
    return (folder or paths.data_dir(game)) / "staged"


def _staged(places: Sequence[Place]) -> dict[int, tuple[dict[str, Any], list[str]]]:
    """Return the header and the names of the files of each place that has any, by its number."""
    found = {}
    for number, place in enumerate(places):
        storage = Storage(_staging(place))
        storage.sweep()
        if names := sorted(path.name for path in storage.folder.glob("*.h5")):
            header = storage.read_header()
            found[number] = {key: header[key] for key in ("game", "actions", "frame_skip", "runs")}, names
    return found


def _read(place: Place, name: str) -> bytes:
    return (_staging(place) / name).read_bytes()


def _delete(place: Place, names: Sequence[str]) -> None:
    for name in names:
        (_staging(place) / name).unlink(missing_ok=True)
