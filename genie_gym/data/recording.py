"""Reading a recording: its header, its episodes, and any part of one."""

import copy
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from genie_gym.data.episode import Episode
from genie_gym.data.shard import UNREADABLE, Shard
from genie_gym.data.storage import Storage
from genie_gym.errors import DataError

__all__ = ["Recording", "episode_lengths"]

Part = TypeVar("Part")

OPEN_SHARDS = 64  # far below the usual limit of 1,024 open files a process


def episode_lengths(folder: str | Path, large: bool = False) -> tuple[dict[str, int], list[str]]:
    """What is in a folder: the number of frames T of each episode by id, or of those alone that have large frames, and
    one line for each shard skipped."""
    places, skipped = Storage(folder).scan(large)
    return {name: length for name, (_, length) in places.items()}, skipped


def read_runs(folder: str | Path) -> list[dict[str, Any]]:
    """What has been recorded into a folder, an entry for each run (policy, seed, ...); none where nothing has."""
    storage = Storage(folder)
    return storage.read_header()["runs"] if storage.header_path.exists() else []


class Recording:
    """The episodes in a folder, in order of their ids; files are opened when first read, in each process anew.

    Attributes:
        header: the content of recording.json (game, actions, frame_skip, runs).
        ids: the episodes' ids.
        lengths: int64 (episodes,), the number of frames T of each.
        report: one line for each shard that was skipped because it is torn or foreign; each was also warned of.

    Raises:
        DataError: the folder is missing, holds no episode, or is of another format or a newer version.
    """

    def __init__(self, folder: str | Path):
        self._storage = Storage(folder)
        self.header: dict[str, Any] = self._storage.read_header()
        self._places, self.report = self._storage.scan()
        if not self._places:
            raise DataError(
                f"no readable episode in {self.folder} ({len(self.report)} shard(s) skipped); record some with: "
                f"genie-gym collect {self.header['game'].get('name', 'GAME')}"
            )
        self.ids = list(self._places)
        self.lengths = np.array([length for _, length in self._places.values()], np.int64)
        self._open: OrderedDict[Path, Shard] = OrderedDict()
        self._process = os.getpid()
        self._actions: list[np.ndarray] | None = None  # in place of the recorded ones

    @property
    def folder(self) -> Path:
        return self._storage.folder

    @property
    def has_actions(self) -> bool:
        """False where some of it came without actions, such as a video alone, and holds zeros in their place."""
        return not any(run.get("no_actions", False) for run in self.header["runs"])

    def with_actions(self, game: dict[str, Any], actions: Sequence[np.ndarray]) -> "Recording":
        """The same episodes with other actions; nothing on the disk changes.

        Args:
            game: the game's description with the new actions.
            actions: int64 (T - 1,) for each episode, in order.

        Raises:
            DataError: their lengths are not those of the episodes.
        """
        steps = [len(one) for one in actions]
        if steps != (self.lengths - 1).tolist():
            raise DataError(
                f"other actions must be as many as those recorded; got {sum(steps)} in {len(steps)} episodes"
            )
        other = copy.copy(self)
        other.header = self.header | {"game": game, "actions": [action["meaning"] for action in game["actions"]]}
        other._actions, other._open = list(actions), OrderedDict()
        return other

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Episode:
        """One whole episode; DataError where its shard cannot be read."""
        episode = self._read(index, lambda shard, name: shard.episode(name))
        return episode if self._actions is None else replace(episode, actions=self._actions[index])

    def episodes(self) -> Iterator[Episode]:
        """All episodes, one after the other."""
        return (self[index] for index in range(len(self)))

    def frames(self, index: int, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 (stop - start, h, w, 3): a part of one episode, reading only the chunks it lies in.

        Args:
            out: an array of that shape to read into; a new one by default.
        """
        return self._read(index, lambda shard, name: shard.frames(name, start, stop, out))

    def has_large(self, index: int) -> bool:
        """Whether an episode has large frames: `genie-gym collect GAME --large` records them."""
        return self._read(index, lambda shard, name: shard.has_large(name))

    def large(self, index: int, start: int, stop: int) -> np.ndarray:
        """uint8 (stop - start, H, W, 3): a part of one episode in finer pictures; DataError where it has none."""
        if not self.has_large(index):
            game = self.header["game"].get("name", "GAME")
            raise DataError(
                f"episode {self.ids[index]} in {self.folder} has no large frames; "
                f"record some with: genie-gym collect {game} --large"
            )
        return self._read(index, lambda shard, name: shard.large(name, start, stop))

    def steps(self, index: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """One episode without its frames: actions int64 (T - 1,), rewards float32 (T - 1,), terminated."""
        actions, rewards, terminated = self._read(index, lambda shard, name: shard.steps(name))
        return actions if self._actions is None else self._actions[index], rewards, terminated

    def close(self) -> None:
        """Closes the files opened so far; they open again when needed."""
        while self._open:
            self._open.popitem()[1].close()

    def _read(self, index: int, reader: Callable[[Shard, str], Part]) -> Part:
        name = self.ids[index]
        path = self._places[name][0]
        try:
            return reader(self._shard(path), name)
        except FileNotFoundError:  # packed into another shard since the folder was scanned
            return reader(self._shard(self._find_again(name)), name)
        except DataError:
            raise
        except UNREADABLE as error:
            lost = sum(place == path for place, _ in self._places.values())
            raise DataError(
                f"episode {name} in {path} cannot be read ({error}); restore that file, or move it away to go on "
                f"without the {lost} episode(s) in it"
            ) from error

    def _find_again(self, name: str) -> Path:
        places, _ = self._storage.scan()
        self._places.update({key: place for key, place in places.items() if key in self._places})
        if name not in places:
            raise DataError(f"episode {name} has gone from {self.folder} since the recording was opened")
        return places[name][0]

    def _shard(self, path: Path) -> Shard:
        if self._process != os.getpid():  # HDF5 files must not be shared across a fork
            self._open, self._process = OrderedDict(), os.getpid()
        if path not in self._open:
            self._open[path] = Shard(path)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}
