"""Writing a dataset: each episode is safe on disk as soon as `append` returns."""

import platform
import uuid
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from genie_gym.data.episode import Episode
from genie_gym.data.header import check_header
from genie_gym.data.storage import Storage
from genie_gym.errors import DataError
from genie_gym.utils import paths

__all__ = ["EpisodeWriter", "pack"]

EPISODES_PER_SHARD = 100  # a lost shard must not cost much, and a dataset should have few files
BYTES_PER_SHARD = 2**24  # a shard is packed in memory, where it takes about three times its size
RECORDED_VERSIONS = ("genie_gym", "gymnasium", "stable-retro", "ale-py", "procgen-mirror", "numpy", "h5py")


class EpisodeWriter:
    """A context manager that appends episodes to a dataset.

    Several processes may write into one folder at the same time. A kill at any moment loses at most the episode being
    written.

    Args:
        folder: Folder of the dataset, created if missing.
        header: JSON values. `game` (a dict with a `name`, or the result of `games.GameSpec.to_dict`), `actions` (their
            names by index) and `frame_skip` (4 by default) describe the dataset and must match an existing one. All
            other entries (`policy`, `seed`, ...) describe this run and are added to the list of `runs`.

    Raises:
        DataError: The folder holds another game or format, or the disk is full or read-only.
    """

    def __init__(self, folder: str | Path, header: dict[str, Any]):
        self.storage = Storage(folder)
        self._unpacked: list[Path] = []
        self._size: tuple[int, ...] | None = None  # shape of a frame
        if _merge(self.storage, header) is not None:  # or nothing need be locked or written
            with self.storage.header_lock():
                merged = _merge(self.storage, header)  # again: another process may have added its run meanwhile
                if merged is not None:
                    self.storage.write_header(merged)
        self._actions = header["actions"]

    def __enter__(self) -> "EpisodeWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if kind is None:
            self.close()

    def append(self, episode: Episode) -> str:
        """Write an episode.

        Returns:
            Its id: `info["id"]` if the episode has one, else a random one.

        Raises:
            DataError: It has an action that the header does not name, or frames of another size than the last episode.
        """
        self._check(episode)
        episode_id = str(episode.info.get("id") or uuid.uuid4().hex)
        self._unpacked.append(self.storage.put(episode_id, episode))
        if _fill_a_shard(self._unpacked):
            self.close()
        return episode_id

    def _check(self, episode: Episode) -> None:
        largest, size = int(episode.actions.max()), episode.frames.shape[1:]
        if largest >= len(self._actions):
            raise DataError(f"an episode has action {largest}, but the header names {len(self._actions)} actions")
        if self._size not in (None, size):
            raise DataError(f"an episode has frames of shape {size}, the last one {self._size}; they must be alike")
        self._size = size

    def close(self) -> None:
        """Pack this writer's episodes into a shard; nothing is lost if this is never called."""
        unpacked, self._unpacked = self._unpacked, []
        if len(unpacked) > 1:
            self.storage.pack(unpacked)


def pack(folder: str | Path) -> None:
    """Pack the single episodes that killed writers left in a dataset, and delete their incomplete files."""
    storage = Storage(folder)
    storage.sweep()
    group: list[Path] = []
    for path in storage.singles():
        group.append(path)
        if _fill_a_shard(group):
            storage.pack(group)
            group = []
    storage.pack(group)


def _fill_a_shard(singles: list[Path]) -> bool:
    """Return whether these files are enough for one shard."""
    size = 0
    for path in singles:
        with suppress(OSError):  # packed by another process meanwhile
            size += path.stat().st_size
    return len(singles) >= EPISODES_PER_SHARD or size >= BYTES_PER_SHARD


def _merge(storage: Storage, header: dict[str, Any]) -> dict[str, Any] | None:
    """Return the folder's header with this run added, None if it already contains the run."""
    shared = {key: header.get(key) for key in ("game", "actions")} | {"frame_skip": header.get("frame_skip", 4)}
    if not isinstance(shared["game"], dict) or not isinstance(shared["actions"], list | tuple):
        raise DataError("a dataset's header needs `game` (a dict with a name) and `actions` (a list of names)")
    shared["actions"] = list(shared["actions"])
    run = {key: value for key, value in header.items() if key not in shared}
    try:
        shared = {key: value for key, value in check_header({**shared, "runs": [run]}).items() if key != "runs"}
    except DataError as error:
        raise DataError(f"the dataset's header {error}") from None
    if not paths.exists(storage.header_path):
        return {**shared, "runs": [run | _versions()]}
    existing = storage.read_header()
    _check_same(storage, existing, shared)
    if any(run.items() <= known.items() for known in existing["runs"]):
        return None
    return {**existing, "runs": [*existing["runs"], run | _versions()]}


def _check_same(storage: Storage, existing: dict[str, Any], shared: dict[str, Any]) -> None:
    asked, present = shared["game"].get("name"), existing["game"].get("name")
    if asked != present:
        raise DataError(f"{storage.folder} holds episodes of {present}, not {asked}; choose another folder")
    for key in ("actions", "frame_skip"):
        if existing[key] != shared[key]:
            raise DataError(
                f"{storage.folder} was recorded with {key} {existing[key]}, not {shared[key]}; choose another folder"
            )
    old_starts, new_starts = (one["game"].get("savestates", []) for one in (existing, shared))
    if old_starts != new_starts:
        raise DataError(
            f"{storage.folder} was recorded from {_listed(old_starts)}, not from {_listed(new_starts)}; choose another "
            "folder (--out)"
        )
    before, now = existing["game"].get("env"), shared["game"].get("env")
    if None not in (before, now) and before != now:  # an own game may also be recorded without one
        changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        old, new = ({key: env.get(key) for key in changed} for env in (before, now))
        raise DataError(f"{storage.folder} was recorded with {old}, not {new}; choose another folder (--out)")


def _listed(savestates: list[str]) -> str:
    return f"the savestates {', '.join(savestates)}" if savestates else "all savestates"


def _versions() -> dict[str, Any]:
    found = {"python": platform.python_version()}
    for name in RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found}
