"""One shard: an HDF5 file of episodes, built in memory and read in parts.

The file has the attributes `format` and `version`, and one group per episode, named by its id:

    <id>/frames             uint8 (T, h, w, 3), gzip level 4, chunks of 16 frames
    <id>/frames_crc32       uint32 (chunks,), the CRC-32 of each chunk as it is stored, begun with its filter mask
    <id>/actions            int64 (T - 1,)
    <id>/rewards            float32 (T - 1,)
    <id>/high_res           uint8 (T, H, W, 3), gzip level 4, chunks of one frame: the same frames at a higher
                            resolution, to train an upscaler on; optional
    <id>/high_res_crc32     uint32 (T,), the same of those
    <id>.attrs              length (T), terminated, truncated, info (JSON text of fixed length), and `crc32` of all that
                            is no frame

Version 1 stored no checksums, texts of variable length, and high-resolution frames under another name: its episodes are
read as having none.
"""

import json
import math
import re
import uuid
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from genie_gym.data.episode import Episode
from genie_gym.data.hdf5 import (
    MAX_RATIO,
    attribute,
    check_heaps,
    has_member,
    is_variable,
    open_array,
    open_file,
    open_group,
    text_attribute,
)
from genie_gym.errors import DataError, printable
from genie_gym.utils.jsonable import parse_json

__all__ = ["EPISODE_ID", "FORMAT", "UNREADABLE", "VERSION", "OtherShape", "Shard", "ShardBuilder", "check_format"]

FORMAT = "genie_gym.recording"
VERSION = 2
EPISODE_ID = re.compile(r"[A-Za-z0-9][\w.-]*")  # ids are parts of the names of files
CHUNK_FRAMES = 16  # a window of 16 frames touches at most two chunks; longer chunks are slower to read at random
HIGH_RES_CHUNK_FRAMES = 1  # they are read one by one, and gzip's window is shorter than the distance to the next frame
GZIP_LEVEL = 4
MAX_INFO = 60_000  # HDF5 takes attributes of 64 KiB
SAFE_BYTES = 2**26  # what a hostile chunk may take of the memory for a moment
# What reading a damaged file raises.
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, zlib.error, DataError)
ARRAYS = ("frames", "frames_crc32", "high_res", "high_res_crc32", "actions", "rewards")
ATTRIBUTES = ("length", "terminated", "truncated", "info", "crc32")


class OtherShape(DataError):
    """The frames of an episode have another shape than those beside which they should be read; neither is damaged."""


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
        self._file = open_file(path)
        self._frames: dict[tuple[str, str], _Frames] = {}  # opening a dataset takes half as long as reading a window
        try:
            self._variable = "format" in self._file.attrs and is_variable(self._file, "format")
            if self._variable:
                check_heaps(path)
            name = text_attribute(self._file, "format", self._variable) if "format" in self._file.attrs else None
            self.version = int(attribute(self._file, "version", np.integer)) if name == FORMAT else None
            check_format(name, self.version, path)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Shard":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._frames.clear()
        self._file.close()

    def names(self) -> list[str]:
        """Return the ids of the episodes, of which `check` tells whether they can be read."""
        return list(self._file)

    def check(self, name: str) -> int:
        """Return the number of frames of an episode.

        Raises:
            One of UNREADABLE: Something of it is missing, has a wrong type or shape, or lies in another file. Values
                are compared with their checksums when they are read.
        """
        if not EPISODE_ID.fullmatch(name):
            raise DataError("its id has other characters than letters, digits and _ . -")
        group = open_group(self._file, name)
        length = _length(group)
        _Frames(group, "frames", length)
        if has_member(group, "high_res"):
            _Frames(group, "high_res", length)
        for key, dtype in (("actions", np.int64), ("rewards", np.float32)):
            open_array(group, key, dtype, (length - 1,))
        for key, kind in (("terminated", np.bool_), ("truncated", np.bool_)):
            attribute(group, key, kind)
        text_attribute(group, "info", self._variable)
        return length

    def has_high_res(self, name: str) -> bool:
        """Return whether an episode has high-resolution frames."""
        return has_member(open_group(self._file, name), "high_res")

    def episode(self, name: str) -> Episode:
        """Return a whole episode, without high-resolution frames."""
        group = open_group(self._file, name)
        actions, rewards, terminated = self.steps(name)
        info = parse_json(text_attribute(group, "info", self._variable))
        if not isinstance(info, dict):
            raise DataError(f"info is {printable(repr(info)):.60}, expected an object")
        frames = self.frames(name, 0, len(actions) + 1)
        return Episode(frames, actions, rewards, terminated, bool(attribute(group, "truncated", np.bool_)), info)

    def steps(self, name: str) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return actions int64 (T - 1,), rewards float32 (T - 1,) and `terminated` of an episode."""
        group = open_group(self._file, name)
        steps = _length(group) - 1
        actions = open_array(group, "actions", np.int64, (steps,))[()]
        rewards = open_array(group, "rewards", np.float32, (steps,))[()]
        if "crc32" in group.attrs and attribute(group, "crc32", np.uint32) != _checksum(
            group, text_attribute(group, "info", self._variable), actions, rewards
        ):
            raise DataError("its actions, rewards or how it ended differ from their checksum")
        if actions.min() < 0 or not np.isfinite(rewards).all():
            raise DataError("an action is negative, or a reward is no finite number")
        return actions, rewards, bool(attribute(group, "terminated", np.bool_))

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
        """Return frames `start` to `stop` - 1 of an array, given the episode's id and the array's name."""
        if place not in self._frames:
            group = open_group(self._file, place[0])
            self._frames[place] = _Frames(group, place[1], _length(group))
        frames = self._frames[place]
        start, stop, _ = slice(start, stop).indices(frames.length)
        if out is None:
            out = np.empty((max(stop - start, 0), *frames.shape), np.uint8)
        elif out.shape[1:] != frames.shape:
            raise OtherShape(f"episode {place[0]} has frames of shape {frames.shape}, others of {out.shape[1:]}")
        size = frames.chunk
        for first in range(start - start % size, stop, size):
            low, high = max(start, first), min(stop, first + size)
            out[low - start : high - start] = frames.read_chunk(first, high - first)[low - first :]
        return out

    def verify(self) -> None:
        """Compare everything with its checksums.

        Raises:
            One of UNREADABLE: Something cannot be read, or the file holds no episode.
        """
        for name in self.names():
            group, length = open_group(self._file, name), self.check(name)
            self.steps(name)
            parse_json(text_attribute(group, "info", self._variable))
            for key in ("frames", "high_res"):
                if has_member(group, key):
                    _Frames(group, key, length).verify()
        if not self.names():
            raise DataError("the file holds no episode")

    def copy_to(self, builder: "ShardBuilder") -> None:
        """Add the episodes that the builder lacks; compressed chunks are copied as they are, other entries left out."""
        for name in self._file.keys() - builder.file.keys():
            source, target = open_group(self._file, name), builder.file.create_group(name)
            for key in ARRAYS:
                if has_member(source, key):
                    source.copy(source[key], target, key)
            for key in ATTRIBUTES:
                if key in source.attrs:
                    target.attrs[key] = (
                        _text(text_attribute(source, key, self._variable))
                        if key == "info"
                        else attribute(source, key, np.generic)
                    )


class ShardBuilder:
    """A shard built in memory, as a context manager, because HDF5 files that are half written cannot be read."""

    def __enter__(self) -> "ShardBuilder":
        self.file = h5py.File(f"{uuid.uuid4().hex}.h5", "w", driver="core", backing_store=False)
        self.file.attrs["format"] = np.bytes_(FORMAT)
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
        group.attrs["info"] = _text(json.dumps(episode.info, default=_jsonable))
        group.attrs["crc32"] = np.uint32(
            _checksum(group, text_attribute(group, "info"), episode.actions, episode.rewards)
        )

    def content(self) -> bytes:
        """Return the content of the file."""
        self.file.flush()
        return self.file.id.get_file_image()


def _add_frames(group: h5py.Group, name: str, frames: np.ndarray, chunk: int) -> None:
    chunks = (min(chunk, len(frames)), *frames.shape[1:])
    stored = group.create_dataset(name, data=frames, chunks=chunks, compression="gzip", compression_opts=GZIP_LEVEL).id
    checksums = [_chunk_checksum(*stored.read_direct_chunk((t, 0, 0, 0))) for t in range(0, len(frames), chunks[0])]
    group.create_dataset(f"{name}_crc32", data=np.array(checksums, np.uint32))


def _chunk_checksum(mask: int, content: bytes) -> int:
    return zlib.crc32(content, mask)


def _checksum(group: h5py.Group, info: str, actions: np.ndarray, rewards: np.ndarray) -> int:
    """Return the CRC-32 of all of an episode that is no frame, its id included."""
    told = [group.name, *(attribute(group, name, np.generic) for name in ("length", "terminated", "truncated")), info]
    return zlib.crc32(rewards.tobytes(), zlib.crc32(actions.tobytes(), zlib.crc32("\n".join(map(str, told)).encode())))


def _text(text: str) -> np.bytes_:
    if len(text) > MAX_INFO:
        raise DataError(f"an episode's info may take {MAX_INFO:,} letters of JSON, got {len(text):,}")
    return np.bytes_(text.encode())


def _length(group: h5py.Group) -> int:
    length = int(attribute(group, "length", np.integer))
    if length < 2:
        raise DataError(f"it has {length} frames, and an episode needs at least 2")
    return length


def check_format(name: Any, version: Any, path: Path) -> None:
    """Raise DataError unless `name` and `version` are those of a dataset that can be read."""
    if not isinstance(name, str) or name != FORMAT:
        raise DataError(f"{path} is no genie_gym dataset (format {printable(repr(name)):.60}, expected {FORMAT!r})")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        raise DataError(
            f"{path} has version {printable(version):.60}, this genie_gym reads up to {VERSION}; type: "
            "pip install -U genie_gym"
        )


class _Frames:
    """The frames of one episode with their shape, which h5py would look up at every use.

    Raises:
        DataError: They are not stored as documented.
    """

    def __init__(self, group: h5py.Group, name: str, length: int):
        array = open_array(group, name, np.uint8, (length, None, None, 3))
        self._id, self.chunk = array.id, array.chunks[0]
        self.length, self.shape = length, array.shape[1:]
        self._checksums: h5py.Dataset | list[int] | None = None
        if has_member(group, f"{name}_crc32"):
            self._checksums = open_array(group, f"{name}_crc32", np.uint32, (-(-length // self.chunk),))

    def verify(self) -> None:
        """Compare all chunks with their checksums; decompress them if there are none."""
        for first in range(0, self.length, self.chunk):
            if self._checksums is None:
                self.read_chunk(first, min(self.chunk, self.length - first))
            else:
                self._stored_chunk(first)

    def _stored_chunk(self, first: int) -> tuple[int, bytes]:
        """Return the filter mask and the compressed content of the chunk that begins at frame `first`."""
        mask, content = self._id.read_direct_chunk((first, 0, 0, 0))
        if isinstance(self._checksums, h5py.Dataset):  # when it is first needed: most are only opened to be checked
            self._checksums = self._checksums[()].tolist()
        if self._checksums is not None and _chunk_checksum(mask, content) != self._checksums[first // self.chunk]:
            raise DataError(f"its frames {first} to {first + self.chunk - 1} differ from their checksum")
        return mask, content

    def read_chunk(self, first: int, count: int) -> np.ndarray:
        """Return the first `count` frames of the chunk that begins at frame `first`."""
        mask, content = self._stored_chunk(first)
        size = count * math.prod(self.shape)
        if not mask:  # HDF5 stores a chunk uncompressed if gzip does not shrink it
            # The first is faster, but ends only when all is decompressed, however much that may be.
            whole = count == self.chunk and MAX_RATIO * len(content) < SAFE_BYTES
            content = (
                zlib.decompress(content, bufsize=size) if whole else zlib.decompressobj().decompress(content, size)
            )
        return np.frombuffer(content, np.uint8, size).reshape(count, *self.shape)


def _jsonable(value: Any) -> Any:
    """Return numpy scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise DataError(f"an episode's info must hold JSON values, got {type(value).__name__}: {value!r}")
