"""The folder of a recording on disk: its format, and the one class that reads and writes it.

    recording.json          the header: format, version, game, actions, frame_skip, and one entry of `runs` for each
                            (policy, seed) recorded into the folder, with the library versions used
    episode-<id>.h5         a shard of one episode, as a writer leaves it
    shard-<name>.h5         a shard of many episodes, packed from the former

Every shard is an HDF5 file with the attributes `format` and `version`, and one group for each episode, named by its id:

    <id>/frames             uint8 (T, h, w, 3), gzip level 4, chunks of 16 frames
    <id>/actions            int64 (T - 1,)
    <id>/rewards            float32 (T - 1,)
    <id>.attrs              length (T), terminated, truncated, info (JSON text)

HDF5 has no journal: a file open for writing at a kill is lost as a whole. So no file is ever changed. A shard is built
in memory, written aside under another name, and renamed when complete; packing deletes the single episodes only after
the rename. A kill in between leaves an episode in two shards, which is why readers go by id and not by file.
"""

import errno
import json
import os
import re
import shutil
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from genie_gym.data.episode import Episode
from genie_gym.errors import DataError

__all__ = ["FORMAT", "VERSION", "Storage"]

FORMAT = "genie_gym.recording"
VERSION = 1
CHUNK_FRAMES = 16  # a window of 16 frames touches at most two chunks; longer chunks cost more to read at random
GZIP_LEVEL = 4
STALE_SECONDS = 3600  # a file written aside and untouched for this long belongs to a killed writer


class Storage:
    """One recording's folder; it holds no open files, so it may be shared, copied and pickled freely."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    @property
    def header_path(self) -> Path:
        return self.folder / "recording.json"

    # -- header --------------------------------------------------------------------------------------------------

    def read_header(self) -> dict[str, Any]:
        """The content of `recording.json`; DataError where it is missing, unreadable, foreign, or newer."""
        try:
            header = json.loads(self.header_path.read_text())
        except FileNotFoundError:
            raise DataError(
                f"no recording in {self.folder} (recording.json is missing); make one with: "
                f"genie-gym collect {self.folder.name or 'GAME'}"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.header_path} cannot be read ({error}); restore it or record anew") from None
        if not isinstance(header, dict):
            raise DataError(f"{self.header_path} holds no recording header; restore it or record anew")
        _check_format(header.get("format"), header.get("version"), self.header_path)
        return header

    def write_header(self, header: dict[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, "version": VERSION, **header}, indent=2)
        self._write_aside(self.header_path, (text + "\n").encode())

    # -- shards --------------------------------------------------------------------------------------------------

    def put(self, episode_id: str, episode: Episode) -> Path:
        """Stores one episode in a shard of its own; when this returns, the episode survives any kill."""
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", episode_id):
            raise DataError(f"an episode id may hold letters, digits and _ . - only, got {episode_id!r}")
        path = self.folder / f"episode-{episode_id}.h5"
        with _memory_file() as file:
            _write_group(file, episode_id, episode)
            self._write_aside(path, _image(file))
        return path

    def singles(self) -> list[Path]:
        """Shards of one episode, not packed yet."""
        return sorted(self.folder.glob("episode-*.h5"))

    def pack(self, paths: Iterable[Path]) -> Path | None:
        """Merges single-episode shards into one shard, then deletes them; torn ones are left where they are."""
        packed = []
        with _memory_file() as file:
            for path in paths:
                try:
                    with open_shard(path) as shard:
                        for name in shard.keys() - file.keys():
                            shard.copy(name, file)  # copies compressed chunks as they are
                except (OSError, RuntimeError, DataError):  # torn, or packed by another process: readers report it
                    continue
                packed.append(path)
            if not packed:
                return None
            target = self.folder / f"shard-{uuid.uuid4().hex[:12]}.h5"
            self._write_aside(target, _image(file))
        for path in packed:
            path.unlink(missing_ok=True)
        return target

    def scan(self) -> tuple[dict[str, tuple[Path, int]], list[str]]:
        """Finds every readable episode.

        Returns:
            the shard and the length T of each episode by id, in order of id, and one line for each shard skipped.
        """
        found: dict[str, tuple[Path, int]] = {}
        skipped = []
        for path in self._shards():
            try:
                with open_shard(path) as shard:
                    found.update({name: (path, int(group.attrs["length"])) for name, group in shard.items()})
            except FileNotFoundError:  # packed by another process since the folder was listed
                continue
            except (OSError, RuntimeError, KeyError, DataError) as error:
                skipped.append(f"{path}: {_first_line(error)}")
        for line in skipped:
            warnings.warn(f"skipped a torn or foreign shard, {line}", stacklevel=3)
        return dict(sorted(found.items())), skipped

    def _shards(self) -> list[Path]:
        """All shards, the newest last: of an episode stored twice, that copy is read."""
        dated = []
        for path in self.folder.glob("*.h5"):
            with suppress(FileNotFoundError):  # packed by another process meanwhile
                dated.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(dated)]

    def sweep(self) -> None:
        """Deletes what killed writers left half written."""
        for path in self.folder.glob(".*.aside"):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)

    # -- bytes ---------------------------------------------------------------------------------------------------

    def _write_aside(self, path: Path, content: bytes) -> None:
        """Writes a file so that it appears under its name only when complete."""
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.aside")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            raise DataError(self._write_failure(path, len(content), error)) from error

    def _write_failure(self, path: Path, size: int, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free = shutil.disk_usage(self.folder).free
            return (
                f"no room for {path.name} ({size:,} bytes; {error.strerror}): {free:,} bytes free in {self.folder}; "
                "what was recorded before is intact: free some space and run the same command again"
            )
        return f"cannot write {path}: {error.strerror or error}; check the folder's permissions"


def open_shard(path: Path) -> h5py.File:
    """Opens a shard for reading; OSError if torn, DataError if another program's or a newer version's.

    Chunks are not cached: windows are read at random, and a cache for each open episode would fill the memory.
    """
    file = h5py.File(path, "r", rdcc_nbytes=0, locking=False)
    try:
        _check_format(file.attrs.get("format"), file.attrs.get("version"), path)
    except DataError:
        file.close()
        raise
    return file


def read_group(group: h5py.Group) -> Episode:
    """One stored episode, whole."""
    attrs = group.attrs
    return Episode(
        frames=group["frames"][()],
        actions=group["actions"][()],
        rewards=group["rewards"][()],
        terminated=bool(attrs["terminated"]),
        truncated=bool(attrs["truncated"]),
        info=json.loads(attrs["info"]),
    )


def _write_group(file: h5py.File, name: str, episode: Episode) -> None:
    group = file.create_group(name)
    chunk = (min(CHUNK_FRAMES, len(episode)), *episode.frames.shape[1:])
    group.create_dataset("frames", data=episode.frames, chunks=chunk, compression="gzip", compression_opts=GZIP_LEVEL)
    group.create_dataset("actions", data=episode.actions)
    group.create_dataset("rewards", data=episode.rewards)
    group.attrs["length"] = len(episode)
    group.attrs["terminated"] = bool(episode.terminated)
    group.attrs["truncated"] = bool(episode.truncated)
    group.attrs["info"] = json.dumps(episode.info, default=_plain)


@contextmanager
def _memory_file() -> Iterator[h5py.File]:
    with h5py.File(f"{uuid.uuid4().hex}.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        yield file


def _image(file: h5py.File) -> bytes:
    file.flush()
    return file.id.get_file_image()


def _check_format(name: Any, version: Any, path: Path) -> None:
    if name != FORMAT:
        raise DataError(f"{path} is not of a genie_gym recording (format {name!r}, expected {FORMAT!r})")
    if not isinstance(version, int | np.integer) or version > VERSION:
        raise DataError(
            f"{path} has version {version}, this genie_gym reads up to {VERSION}; type: pip install -U genie_gym"
        )


def _plain(value: Any) -> Any:
    """numpy scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise DataError(f"an episode's info must hold JSON values, got {type(value).__name__}: {value!r}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
