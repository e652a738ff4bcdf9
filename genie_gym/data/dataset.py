"""Reading a dataset: its header, its episodes, and any part of an episode."""

import copy
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from genie_gym.data.episode import Episode
from genie_gym.data.shard import UNREADABLE, OtherShape, Shard
from genie_gym.data.storage import Storage
from genie_gym.errors import DataError, first_line, printable
from genie_gym.utils import paths

__all__ = ["EpisodeDataset", "episode_lengths", "read_runs"]

Part = TypeVar("Part")

OPEN_SHARDS = 64  # far below the usual limit of 1,024 open files per process


def episode_lengths(folder: str | Path, high_res: bool = False) -> tuple[dict[str, int], list[str]]:
    """Return the episodes in a folder.

    Args:
        folder: Folder of the dataset.
        high_res: Return only episodes with high-resolution frames.

    Returns:
        The number of frames of each episode by id, and one line for each shard that was skipped as unreadable.
    """
    found, skipped = Storage(folder).scan(high_res)
    return {name: length for name, (_, length) in found.items()}, skipped


def read_runs(folder: str | Path) -> list[dict[str, Any]]:
    """Return one entry (policy, seed, ...) for each run that wrote into a folder; none if there is no dataset."""
    storage = Storage(folder)
    return storage.read_header()["runs"] if paths.exists(storage.header_path) else []


class EpisodeDataset:
    """The episodes in a folder, ordered by id.

    Files are opened when they are first read, separately in each process, so that a dataset can be pickled and used
    after a fork.

    Args:
        folder: Folder of the dataset.

    Attributes:
        header: Content of recording.json (game, actions, frame_skip, runs).
        ids: Ids of the episodes.
        lengths: int64 (episodes,), the number of frames of each.
        skipped: One line for each shard or episode that was skipped as unreadable; a warning is issued for each as
            well.

    Raises:
        DataError: The folder is missing, holds no episode, or has another format or a newer version.
    """

    def __init__(self, folder: str | Path):
        self._storage = Storage(folder)
        self.header: dict[str, Any] = self._storage.read_header()
        self._places, self.skipped = self._storage.scan()
        if not self._places:
            raise DataError(
                f"no readable episode in {self.folder} ({len(self.skipped)} shard(s) skipped); record some with: "
                f"genie-gym collect {self.header['game'].get('name', 'GAME')}"
            )
        self.ids = list(self._places)
        self.lengths = np.array([length for _, length in self._places.values()], np.int64)
        self._open: dict[int, OrderedDict[Path, Shard]] = {}  # by thread: one must not close what another reads
        self._process = os.getpid()
        self._actions: list[np.ndarray] | None = None  # in place of the stored ones

    @property
    def folder(self) -> Path:
        """Folder of the dataset."""
        return self._storage.folder

    @property
    def has_actions(self) -> bool:
        """Whether all actions are real; False if some episodes, such as those of a video alone, hold zeros instead."""
        return not any(run.get("no_actions", False) for run in self.header["runs"])

    def with_actions(self, game: dict[str, Any], actions: Sequence[np.ndarray]) -> "EpisodeDataset":
        """Return a view of the same episodes with other actions; files do not change.

        Args:
            game: Description of the game with the new actions.
            actions: int64 (T - 1,) for each episode, in order.

        Raises:
            DataError: The lengths are not those of the episodes.
        """
        steps = [len(one) for one in actions]
        if steps != (self.lengths - 1).tolist():
            raise DataError(
                f"other actions must be as many as those recorded; got {sum(steps)} in {len(steps)} episodes"
            )
        other = copy.copy(self)
        other.header = self.header | {"game": game, "actions": [action["meaning"] for action in game["actions"]]}
        other._actions, other._open = list(actions), {}
        return other

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.ids)

    def __getitem__(self, index: int) -> Episode:
        """Return a whole episode, without high-resolution frames.

        Raises:
            DataError: The file cannot be read.
        """
        episode = self._read(index, lambda shard, name: shard.episode(name))
        return replace(episode, actions=self._known(index, episode.actions))

    def episodes(self) -> Iterator[Episode]:
        """Iterate over all episodes."""
        return (self[index] for index in range(len(self)))

    def frames(self, index: int, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return frames of one episode, uint8 (stop - start, h, w, 3), reading only the chunks that hold them.

        Args:
            index: Index of the episode.
            start: First frame.
            stop: One past the last frame.
            out: Array of that shape to read into; a new one by default.
        """
        return self._read(index, lambda shard, name: shard.frames(name, start, stop, out))

    def has_high_res(self, index: int) -> bool:
        """Return whether an episode has high-resolution frames (`genie-gym collect GAME --high-res`)."""
        return self._read(index, lambda shard, name: shard.has_high_res(name))

    def high_res(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return high-resolution frames of one episode, uint8 (stop - start, H, W, 3).

        Raises:
            DataError: The episode has none.
        """
        if not self.has_high_res(index):
            game = self.header["game"].get("name", "GAME")
            raise DataError(
                f"episode {self.ids[index]} in {self.folder} has no high-resolution frames; "
                f"record some with: genie-gym collect {game} --high-res"
            )
        return self._read(index, lambda shard, name: shard.high_res(name, start, stop))

    def steps(self, index: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return actions int64 (T - 1,), rewards float32 (T - 1,) and `terminated` of one episode."""
        actions, rewards, terminated = self._read(index, lambda shard, name: shard.steps(name))
        return self._known(index, actions), rewards, terminated

    def _known(self, index: int, actions: np.ndarray) -> np.ndarray:
        """Return the actions of an episode, having checked that the header names them all."""
        if self._actions is not None:
            return self._actions[index]
        count = len(self.header["actions"])
        if actions.max() >= count:
            raise DataError(
                f"episode {self.ids[index]} in {self._places[self.ids[index]][0]} has action {actions.max()}, but "
                f"recording.json names {count} actions; move that file away, or record anew"
            )
        return actions

    def close(self) -> None:
        """Close all open files; they are opened again when needed."""
        while self._open:
            for shard in self._open.popitem()[1].values():
                shard.close()

    def _read(self, index: int, reader: Callable[[Shard, str], Part]) -> Part:
        name = self.ids[index]
        path = self._places[name][0]
        try:
            return reader(self._shard(path), name)
        except FileNotFoundError:  # packed into another shard since the folder was scanned
            return reader(self._shard(self._find_again(name)), name)
        except OtherShape:
            raise
        except UNREADABLE as error:
            lost = sum(place == path for place, _ in self._places.values())
            raise DataError(
                f"episode {name} in {path} cannot be read ({printable(first_line(error))}); restore that file, or move "
                f"it away to go on without the {lost} episode(s) in it"
            ) from error

    def _find_again(self, name: str) -> Path:
        places, _ = self._storage.scan()
        self._places.update({key: place for key, place in places.items() if key in self._places})
        if name not in places:
            raise DataError(f"episode {name} has gone from {self.folder} since the dataset was opened")
        return places[name][0]

    def _shard(self, path: Path) -> Shard:
        if self._process != os.getpid():  # HDF5 files must not be shared across a fork
            self._open, self._process = {}, os.getpid()
        shards = self._open.setdefault(threading.get_ident(), OrderedDict())
        if path not in shards:
            shards[path] = Shard(path)
            if len(shards) > OPEN_SHARDS:
                shards.popitem(last=False)[1].close()
        shards.move_to_end(path)
        return shards[path]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}
