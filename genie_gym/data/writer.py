"""Writing a recording: episodes go to disk one by one, each safe as soon as `append` returns."""

import platform
import uuid
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from genie_gym.data.episode import Episode
from genie_gym.data.storage import Storage
from genie_gym.errors import DataError

__all__ = ["RecordingWriter", "pack"]

EPISODES_PER_SHARD = 100  # few enough that a lost shard hurts little, many enough that a recording has few files
BYTES_PER_SHARD = 2**28  # a shard is packed in memory, and large frames are large
RECORDED_VERSIONS = ("genie_gym", "gymnasium", "stable-retro", "ale-py", "procgen-mirror", "numpy", "h5py")


class RecordingWriter:
    """Appends episodes to a folder, as a context manager; several processes may write into one folder at once.

    Args:
        folder: made if missing; an existing recording of the same game is continued.
        header: plain JSON values. `game` (a dict with a `name`, or all that `games.GameSpec.to_dict` gives) and
            `actions` (their names, by index) belong to the folder and must match what is there; `frame_skip` likewise,
            4 by default. All other entries (`policy`, `seed`, ...) describe this run and join the folder's list of
            `runs`.

    Raises:
        DataError: the folder holds another game or format, or the disk is full or read-only.

    A kill at any moment loses at most the episode being written.
    """

    def __init__(self, folder: str | Path, header: dict[str, Any]):
        self.storage = Storage(folder)
        self._own: list[Path] = []
        self._size: tuple[int, ...] | None = None  # of a frame
        merged = _merge(self.storage, header)
        if merged is not None:
            self.storage.write_header(merged)
        self._actions = header["actions"]

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if kind is None:
            self.close()

    def append(self, episode: Episode) -> str:
        """Stores one episode under the id in its `info["id"]`, or a random one; returns the id.

        Raises:
            DataError: it has an action that the header does not name, or frames of another size than the last one.
        """
        self._check(episode)
        episode_id = str(episode.info.get("id") or uuid.uuid4().hex)
        self._own.append(self.storage.put(episode_id, episode))
        if _enough(self._own):
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
        """Packs this writer's episodes into a shard; nothing is lost where this is never called."""
        own, self._own = self._own, []
        if len(own) > 1:
            self.storage.pack(own)


def pack(folder: str | Path) -> None:
    """Packs the single episodes that killed writers left in a recording, and deletes what they left half written."""
    storage = Storage(folder)
    storage.sweep()
    group: list[Path] = []
    for path in storage.singles():
        group.append(path)
        if _enough(group):
            storage.pack(group)
            group = []
    storage.pack(group)


def _enough(singles: list[Path]) -> bool:
    """Whether they make a shard."""
    size = 0
    for path in singles:
        with suppress(FileNotFoundError):  # packed by another process meanwhile
            size += path.stat().st_size
    return len(singles) >= EPISODES_PER_SHARD or size >= BYTES_PER_SHARD


def _merge(storage: Storage, header: dict[str, Any]) -> dict[str, Any] | None:
    """The folder's header with this run added; None where it stands there already."""
    shared = {key: header.get(key) for key in ("game", "actions")} | {"frame_skip": header.get("frame_skip", 4)}
    if not isinstance(shared["game"], dict) or not isinstance(shared["actions"], list | tuple):
        raise DataError("a recording's header needs `game` (a dict with a name) and `actions` (a list of names)")
    shared["actions"] = list(shared["actions"])
    plain = [{"meaning": str(name), "buttons": [], "keys": []} for name in shared["actions"]]
    shared["game"] = {"actions": plain} | shared["game"]
    if [action["meaning"] for action in shared["game"]["actions"]] != [action["meaning"] for action in plain]:
        raise DataError("the names in a header's `actions` must be those of its game's own actions")
    run = {key: value for key, value in header.items() if key not in shared}
    if not storage.header_path.exists():
        return {**shared, "runs": [run | _versions()]}
    existing = storage.read_header()
    _check_same(storage, existing, shared)
    if any(run.items() <= known.items() for known in existing["runs"]):
        return None
    return {**existing, "runs": [*existing["runs"], run | _versions()]}


def _check_same(storage: Storage, existing: dict[str, Any], shared: dict[str, Any]) -> None:
    mine, theirs = shared["game"].get("name"), existing["game"].get("name")
    if mine != theirs:
        raise DataError(f"{storage.folder} holds episodes of {theirs}, not {mine}; choose another folder")
    for key in ("actions", "frame_skip"):
        if existing[key] != shared[key]:
            raise DataError(
                f"{storage.folder} was recorded with {key} {existing[key]}, not {shared[key]}; choose another folder"
            )


def _versions() -> dict[str, Any]:
    found = {"python": platform.python_version()}
    for name in RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found}
