"""One shard: an HDF5 file of episodes, built in memory and read in parts.

The file has the attributes `format` and `version`, and one group per episode, named by its id:

    <id>/frames             uint8 (T, h, w, 3), gzip level 4, chunks of 16 frames
    <id>/actions            int64 (T - 1,)
    <id>/rewards            float32 (T - 1,)
    <id>/high_res           uint8 (T, H, W, 3), gzip level 4, chunks of one frame: the same frames at a higher
                            resolution, to train an upscaler on; optional
    <id>.attrs              length (T), terminated, truncated, info (JSON text)

Version 1 stored high-resolution frames under another name: its episodes are read as having none.
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
VERSION = 2
CHUNK_FRAMES = 16  # a window of 16 frames touches at most two chunks; longer chunks are slower to read at random
HIGH_RES_CHUNK_FRAMES = 1  # they are read one by one, and gzip's window is shorter than the distance to the next frame
GZIP_LEVEL = 4
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, zlib.error, DataError)  # what reading a damaged file raises


class Shard:
    """A shard open for reading.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file has another format or a newer version.
        One of UNREADABLE: The file is damaged, which may become apparent only when an episode is read.
    """

    def __init__(self, path: Path):
        # No chunk cache: windows are read at random, and a cache per open episode would fill the memory.
        self._file = h5py.File(path, "r", rdcc_nbytes=0, locking=False)
        self._frames: dict[tuple[str, str], _Frames] = {}  # opening a dataset takes half as long as reading a window
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

    def lengths(self, high_res: bool = False) -> dict[str, int]:
        """Return the number of frames of each episode by id, optionally only of those with high-resolution frames."""
        groups = self._file.items()
        return {name: int(group.attrs["length"]) for name, group in groups if not high_res or "high_res" in group}

    def has_high_res(self, name: str) -> bool:
        """Return whether an episode has high-resolution frames."""
        return "high_res" in self._file[name]

    def episode(self, name: str) -> Episode:
        """Return a whole episode, without high-resolution frames."""
        group = self._file[name]
        actions, rewards, terminated = self.steps(name)
        truncated, info = bool(group.attrs["truncated"]), json.loads(group.attrs["info"])
        return Episode(group["frames"][()], actions, rewards, terminated, truncated, info)

    def steps(self, name: str) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return actions int64 (T - 1,), rewards float32 (T - 1,) and `terminated` of an episode."""
        group = self._file[name]
        return group["actions"][()], group["rewards"][()], bool(group.attrs["terminated"])

    def frames(self, name: str, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return frames of an episode, uint8 (stop - start, h, w, 3), written into `out` if that is given.

        Chunks are decompressed here rather than by HDF5, which would decompress the last one to its end: 1.5 times as
        fast.
        """
        return self._slice((name, "frames"), start, stop, out)

    def high_res(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return high-resolution frames of an episode, uint8 (stop - start, H, W, 3)."""
        return self._slice((name, "high_res"), start, stop)

    def _slice(self, place: tuple[str, str], start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return frames `start` to `stop` - 1 of an HDF5 dataset, given the episode's id and the dataset's name."""
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
        """Add the episodes that the builder lacks; compressed chunks are copied as they are."""
        for name in self._file.keys() - builder.file.keys():
            self._file.copy(name, builder.file)


class ShardBuilder:
    """A shard built in memory, as a context manager, because HDF5 files that are half written cannot be read."""

    def __enter__(self) -> "ShardBuilder":
        self.file = h5py.File(f"{uuid.uuid4().hex}.h5", "w", driver="core", backing_store=False)
        self.file.attrs["format"] = FORMAT
        self.file.attrs["version"] = VERSION
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def add(self, name: str, episode: Episode) -> None:
        """Add an episode under an id."""
        group = self.file.create_group(name)
        _add_frames(group, "frames", episode.frames, CHUNK_FRAMES)
        if episode.high_res is not None:
            _add_frames(group, "high_res", episode.high_res, HIGH_RES_CHUNK_FRAMES)
        group.create_dataset("actions", data=episode.actions)
        group.create_dataset("rewards", data=episode.rewards)
        group.attrs["length"] = len(episode)
        group.attrs["terminated"] = bool(episode.terminated)
        group.attrs["truncated"] = bool(episode.truncated)
        group.attrs["info"] = json.dumps(episode.info, default=_jsonable)

    def content(self) -> bytes:
        """Return the content of the file."""
        self.file.flush()
        return self.file.id.get_file_image()


def _add_frames(group: h5py.Group, name: str, frames: np.ndarray, chunk: int) -> None:
    chunks = (min(chunk, len(frames)), *frames.shape[1:])
    group.create_dataset(name, data=frames, chunks=chunks, compression="gzip", compression_opts=GZIP_LEVEL)


def check_format(name: Any, version: Any, path: Path) -> None:
    """Raise DataError unless `name` and `version` are those of a dataset that can be read."""
    if name != FORMAT:
        raise DataError(f"{path} is no genie_gym dataset (format {name!r}, expected {FORMAT!r})")
    if not isinstance(version, int | np.integer) or version > VERSION:
        raise DataError(
            f"{path} has version {version}, this genie_gym reads up to {VERSION}; type: pip install -U genie_gym"
        )


class _Frames:
    """The frames of one episode with their shape, which h5py would look up at every use."""

    def __init__(self, dataset: h5py.Dataset):
        self._id, self.chunk = dataset.id, dataset.chunks[0]
        self.length, self.shape = dataset.shape[0], dataset.shape[1:]

    def read_chunk(self, first: int, count: int) -> np.ndarray:
        """Return the first `count` frames of the chunk that begins at frame `first`."""
        unfiltered, content = self._id.read_direct_chunk((first, 0, 0, 0))
        size = count * math.prod(self.shape)
        if not unfiltered:  # HDF5 stores a chunk uncompressed if gzip does not shrink it
            whole = count == self.chunk  # only then can zlib compare the checksum at the end
            content = (
                zlib.decompress(content, bufsize=size) if whole else zlib.decompressobj().decompress(content, size)
            )
        return np.frombuffer(content, np.uint8, size).reshape(count, *self.shape)


def _jsonable(value: Any) -> Any:
    """Return numpy scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise DataError(f"an episode's info must hold JSON values, got {type(value).__name__}: {value!r}")
