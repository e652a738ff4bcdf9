"""One shard: an HDF5 file of episodes, built in memory and read in parts.

It has the attributes `format` and `version`, and one group for each episode, named by its id:

    <id>/frames             uint8 (T, h, w, 3), gzip level 4, chunks of 16 frames
    <id>/actions            int64 (T - 1,)
    <id>/rewards            float32 (T - 1,)
    <id>/large              uint8 (T, H, W, 3), gzip level 4, chunks of one frame: finer pictures of the same frames,
                            only where they were asked for; an upscaler learns from them
    <id>.attrs              length (T), terminated, truncated, info (JSON text)
"""

import json
import math
import uuid
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from genie_gym.data.episode import Episode
from genie_gym.errors import DataError

__all__ = ["FORMAT", "UNREADABLE", "VERSION", "Shard", "ShardBuilder", "check_format"]

FORMAT = "genie_gym.recording"
VERSION = 1
CHUNK_FRAMES = 16  # a window of 16 frames touches at most two chunks; longer chunks cost more to read at random
LARGE_CHUNK_FRAMES = 1  # large frames are read one by one, and gzip looks back less far than from one to the next
GZIP_LEVEL = 4
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, zlib.error, DataError)  # what reading a damaged file raises


class Shard:
    """A shard open for reading.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is another program's, or of a newer version.
        One of UNREADABLE: it is torn or damaged, which may show only when an episode is read.
    """

    def __init__(self, path: Path):
        # No chunk cache: windows are read at random, and a cache for each open episode would fill the memory.
        self._file = h5py.File(path, "r", rdcc_nbytes=0, locking=False)
        self._frames: dict[tuple[str, str], _Frames] = {}  # opening one costs half as much as reading a window
        try:
            check_format(self._file.attrs.get("format"), self._file.attrs.get("version"), path)
        except DataError:
            self.close()
            raise

    def __enter__(self) -> "Shard":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._frames.clear()
        self._file.close()

    def lengths(self, large: bool = False) -> dict[str, int]:
        """The number of frames T of each episode by id, or of those alone that have large frames."""
        groups = self._file.items()
        return {name: int(group.attrs["length"]) for name, group in groups if not large or "large" in group}

    def has_large(self, name: str) -> bool:
        """Whether an episode has large frames."""
        return "large" in self._file[name]

    def episode(self, name: str) -> Episode:
        """One episode, whole."""
        group = self._file[name]
        actions, rewards, terminated = self.steps(name)
        truncated, info = bool(group.attrs["truncated"]), json.loads(group.attrs["info"])
        return Episode(group["frames"][()], actions, rewards, terminated, truncated, info)

    def steps(self, name: str) -> tuple[np.ndarray, np.ndarray, bool]:
        """One episode without its frames: actions int64 (T - 1,), rewards float32 (T - 1,), terminated."""
        group = self._file[name]
        return group["actions"][()], group["rewards"][()], bool(group.attrs["terminated"])

    def frames(self, name: str, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 (stop - start, h, w, 3): a part of one episode, written into `out` where that is given.

        Chunks are unpacked here rather than by HDF5, which has to unpack the last one to its end: half as fast again.
        """
        return self._cut((name, "frames"), start, stop, out)

    def large(self, name: str, start: int, stop: int) -> np.ndarray:
        """uint8 (stop - start, H, W, 3): the same of an episode's large frames."""
        return self._cut((name, "large"), start, stop)

    def _cut(self, place: tuple[str, str], start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Frames `start` to `stop` - 1 of the dataset of that name of the episode of that id."""
        if place not in self._frames:
            self._frames[place] = _Frames(self._file["/".join(place)])
        frames = self._frames[place]
        start, stop, _ = slice(start, stop).indices(frames.length)
        if out is None:
            out = np.empty((max(stop - start, 0), *frames.shape), np.uint8)
        elif out.shape[1:] != frames.shape:
            raise DataError(f"episode {place[0]} has frames of shape {frames.shape}, others of {out.shape[1:]}")
        size = frames.chunk
        for first in range(start - start % size, stop, size):
            low, high = max(start, first), min(stop, first + size)
            out[low - start : high - start] = frames.read_chunk(first, high - first)[low - first :]
        return out

    def copy_to(self, builder: "ShardBuilder") -> None:
        """Adds the episodes that the builder has not got; compressed chunks are copied as they are."""
        for name in self._file.keys() - builder.file.keys():
            self._file.copy(name, builder.file)


class ShardBuilder:
    """A shard in memory, as a context manager; HDF5 has no journal, so files are written whole or not at all."""

    def __enter__(self) -> "ShardBuilder":
        self.file = h5py.File(f"{uuid.uuid4().hex}.h5", "w", driver="core", backing_store=False)
        self.file.attrs["format"] = FORMAT
        self.file.attrs["version"] = VERSION
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def add(self, name: str, episode: Episode) -> None:
        group = self.file.create_group(name)
        _add_pictures(group, "frames", episode.frames, CHUNK_FRAMES)
        if episode.large is not None:
            _add_pictures(group, "large", episode.large, LARGE_CHUNK_FRAMES)
        group.create_dataset("actions", data=episode.actions)
        group.create_dataset("rewards", data=episode.rewards)
        group.attrs["length"] = len(episode)
        group.attrs["terminated"] = bool(episode.terminated)
        group.attrs["truncated"] = bool(episode.truncated)
        group.attrs["info"] = json.dumps(episode.info, default=_plain)

    def content(self) -> bytes:
        """The file's bytes."""
        self.file.flush()
        return self.file.id.get_file_image()


def _add_pictures(group: h5py.Group, name: str, pictures: np.ndarray, chunk: int) -> None:
    chunks = (min(chunk, len(pictures)), *pictures.shape[1:])
    group.create_dataset(name, data=pictures, chunks=chunks, compression="gzip", compression_opts=GZIP_LEVEL)


def check_format(name: Any, version: Any, path: Path) -> None:
    """DataError unless `name` and `version` are those of a recording that this version reads."""
    if name != FORMAT:
        raise DataError(f"{path} is not of a genie_gym recording (format {name!r}, expected {FORMAT!r})")
    if not isinstance(version, int | np.integer) or version > VERSION:
        raise DataError(
            f"{path} has version {version}, this genie_gym reads up to {VERSION}; type: pip install -U genie_gym"
        )


class _Frames:
    """The frames of one episode; h5py would look their shape up at every use, a tenth of the time of a window."""

    def __init__(self, dataset: h5py.Dataset):
        self._id, self.chunk = dataset.id, dataset.chunks[0]
        self.length, self.shape = dataset.shape[0], dataset.shape[1:]

    def read_chunk(self, first: int, count: int) -> np.ndarray:
        """The first `count` frames of the chunk that begins at frame `first`."""
        unfiltered, content = self._id.read_direct_chunk((first, 0, 0, 0))
        size = count * math.prod(self.shape)
        if not unfiltered:  # HDF5 stores a chunk as it is where gzip does not shrink it
            whole = count == self.chunk  # only then can zlib compare the checksum at the end
            content = (
                zlib.decompress(content, bufsize=size) if whole else zlib.decompressobj().decompress(content, size)
            )
        return np.frombuffer(content, np.uint8, size).reshape(count, *self.shape)


def _plain(value: Any) -> Any:
    """numpy scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise DataError(f"an episode's info must hold JSON values, got {type(value).__name__}: {value!r}")
