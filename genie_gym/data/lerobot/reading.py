"""Reading a LeRobotDataset v3."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data.convert.episodes import game_header
from genie_gym.data.convert.video import decode, upright
from genie_gym.data.dataset import EpisodeDataset
from genie_gym.data.episode import Episode
from genie_gym.data.header import MAX_ACTIONS
from genie_gym.data.lerobot.layout import INFO, VIDEO
from genie_gym.data.writer import EpisodeWriter
from genie_gym.errors import DataError, first_line, printable
from genie_gym.utils import paths
from genie_gym.utils.extras import require
from genie_gym.utils.images import letterbox
from genie_gym.utils.jsonable import parse_json
from genie_gym.utils.progress import tracked
from genie_gym.utils.validation import is_name

__all__ = ["import_lerobot"]

MAX_INFO_BYTES, MAX_FPS = 2**25, 1000


def import_lerobot(
    folder: str | Path,
    out: str | Path,
    *,
    camera: str | None = None,
    actions: bool = True,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    size: int = 64,
) -> EpisodeDataset:
    """Append the episodes of a LeRobotDataset v3 on the disk to the dataset in `out`.

    The same LeRobotDataset imported again replaces its earlier episodes.

    Args:
        folder: The LeRobotDataset.
        out: Folder of the dataset.
        camera: Name of the video feature to take; needed if there are several.
        actions: Take the actions, which must be whole numbers from 0. Without them, as with a robot's continuous ones,
            train finds latent actions in the frames.
        game: Title of the game, which becomes `Title-Own`.
        action_names: Names of the actions by index; ACTION_0, ACTION_1, ... by default.
        size: Side of the stored frames in pixels.

    Returns:
        The dataset, including earlier episodes.

    Raises:
        MissingExtraError: pyarrow or PyAV is not installed.
        DataError: A file is missing, damaged or of another version, or the actions are continuous.
        GameError: The game's name has characters that are not allowed.
    """
    folder, out = Path(folder), Path(out)
    info = _read_info(folder)
    camera = _camera(folder, info, camera)
    rows = _rows(folder, with_actions=actions)
    places = _places(folder, camera, rows)
    names = _names(folder, info, rows, action_names) if actions else ["NOOP"]
    run = {"policy": "lerobot", "source": printable(folder.name), "no_actions": not actions}
    source = re.sub(r"[^A-Za-z0-9_.-]", "_", folder.name)[:100]
    with EpisodeWriter(out, {**game_header(game, names, float(info["fps"])), **run}) as writer:
        found = _images(folder, float(info["fps"]), places, camera, size)
        for index, images in tracked(found, "importing", len(places), unit="episodes"):
            known = rows[index]
            over = bool(known["done"][-1])
            steps = slice(0, len(images) - 1)
            episode_info = {"id": f"lerobot-{source}-{index:06d}", **run}
            writer.append(Episode(images, known["action"][steps], known["reward"][steps], over, not over, episode_info))
    return EpisodeDataset(out)


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / INFO
    try:
        if paths.file_size(path) > MAX_INFO_BYTES:
            raise ValueError(f"it has more than {MAX_INFO_BYTES:,} bytes")
        info = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is no LeRobotDataset on the disk: {path} cannot be read ({error})") from None
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if not str(version).startswith("v3."):
        raise DataError(f"{path} has version {printable(version)!s:.50}, expected v3.0; LeRobot itself converts others")
    fps, features = info.get("fps"), info.get("features")
    if not isinstance(fps, int | float) or not 0 < fps <= MAX_FPS or not isinstance(features, dict):
        raise DataError(f"{path} has no rate of frames or no features; download the dataset again")
    return info


def _camera(folder: Path, info: dict[str, Any], asked: str | None) -> str:
    videos = [name for name, feature in info["features"].items() if _is_camera(name, feature)]
    if asked is None and len(videos) == 1:
        return videos[0]
    if asked is None or asked not in videos:
        some = printable(", ".join(videos))[:300] or "none"
        raise DataError(f"{folder} has the cameras {some}; give one of them as `camera`, not {asked!r:.100}")
    return asked


def _is_camera(name: str, feature: Any) -> bool:
    """Return whether a feature is a video; names that would lead into other folders are none."""
    return isinstance(feature, dict) and feature.get("dtype") == "video" and is_name(name)


def _read_tables(folder: Path, part: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of all parquet files of a part of the dataset."""
    found = sorted((folder / part).glob("chunk-*/file-*.parquet"))
    if not found:
        raise DataError(f"{folder / part} holds no parquet file; download the dataset again")
    rows: list[dict[str, Any]] = []
    for path in found:
        try:
            with paths.open_regular(path) as file:
                table = require("pyarrow.parquet").ParquetFile(file)
                present = [name for name in columns or table.schema_arrow.names if name in table.schema_arrow.names]
                rows += table.read(present).to_pylist()
        except (OSError, ValueError, require("pyarrow").ArrowException) as error:
            raise DataError(f"{path} cannot be read ({printable(first_line(error))}); download it again") from None
    return rows


def _rows(folder: Path, with_actions: bool) -> dict[int, dict[str, np.ndarray]]:
    """Return action, reward and done of each episode by its index, as arrays (t,)."""
    columns = ["episode_index", "frame_index", "next.reward", "next.done", *(["action"] if with_actions else [])]
    rows = _read_tables(folder, "data", columns)
    if not rows or not all(isinstance(row.get(name), int) for row in rows for name in ("episode_index", "frame_index")):
        raise DataError(f"{folder / 'data'} has no rows, or some of no episode; download it again")
    rows.sort(key=lambda row: (row["episode_index"], row["frame_index"]))
    episodes: dict[int, dict[str, np.ndarray]] = {}
    for index, group in groupby(rows, key=lambda row: row["episode_index"]):
        taken = list(group)
        try:
            values = np.array([row.get("action", 0) for row in taken], np.float64).reshape(len(taken), -1)
            rewards = np.array([row.get("next.reward", 0) for row in taken], np.float32).reshape(len(taken))
            done = np.array([row.get("next.done", False) for row in taken], bool).reshape(len(taken))
        except (TypeError, ValueError):
            raise DataError(f"{folder} has actions, rewards or ends that are no numbers; download it again") from None
        if values.shape[1] != 1 or not set(np.unique(values)) <= set(range(MAX_ACTIONS)):
            raise DataError(
                f"{folder} has actions that are no whole numbers from 0 to {MAX_ACTIONS - 1}; import the images alone, "
                "with actions=False"
            )
        episodes[index] = {"action": values[:, 0].astype(np.int64), "reward": rewards, "done": done}
    return episodes


def _names(
    folder: Path, info: dict[str, Any], rows: dict[int, dict[str, np.ndarray]], given: Sequence[str] | None
) -> list[str]:
    most = 1 + max(int(known["action"].max()) for known in rows.values())
    known = _dict(_dict(info["features"].get("action")).get("info")).get("names")
    names = list(given or (known if isinstance(known, list) else [f"ACTION_{index}" for index in range(most)]))
    if len(names) < most:
        raise DataError(
            f"{folder} has {most} actions, and only {len(names)} names: {printable(', '.join(map(str, names)))[:300]}"
        )
    return names


@dataclass(frozen=True)
class Place:
    """Where the images of an episode lie: in which video, from what time on, and how many."""

    chunk: int
    file: int
    start: float
    episode: int
    length: int


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _places(folder: Path, camera: str, rows: dict[int, dict[str, np.ndarray]]) -> list[Place]:
    """Return where the images of each episode lie, in the order in which the videos hold them."""
    found = []
    for row in _read_tables(folder, "meta/episodes"):
        try:
            chunk, file, start = (
                row[f"videos/{camera}/{name}"] for name in ("chunk_index", "file_index", "from_timestamp")
            )
            found.append(Place(int(chunk), int(file), float(start), int(row["episode_index"]), int(row["length"])))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise DataError(
                f"{folder / 'meta/episodes'} has no place of an episode's video; download it again"
            ) from None
    if {one.episode: one.length for one in found} != {index: len(known["action"]) for index, known in rows.items()}:
        raise DataError(f"the episodes of {folder / 'meta'} and {folder / 'data'} are not the same; download it again")
    return sorted(found, key=lambda one: (one.chunk, one.file, one.start))


def _images(folder: Path, fps: float, places: list[Place], camera: str, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each episode's index and images, uint8 (t, size, size, 3); each video is read once."""
    for (chunk, file), group in groupby(places, key=lambda one: (one.chunk, one.file)):
        path, episodes = folder / VIDEO.format(video_key=camera, chunk_index=chunk, file_index=file), list(group)
        times = np.concatenate([one.start + np.arange(one.length) / fps for one in episodes])
        frames = _at(path, times, 0.5 / fps)
        for one in episodes:
            images = [letterbox(np.ascontiguousarray(image), size) for image in islice(frames, one.length)]
            if len(images) < one.length:
                raise DataError(f"{path} ends before episode {one.episode} does; download it again")
            yield one.episode, np.stack(images)


def _at(path: Path, times: np.ndarray, early: float) -> Iterator[np.ndarray]:
    """Yield the image of a video at each of the times, in order: the first that is not earlier by more than `early`."""
    wanted = iter(times)
    time = next(wanted, None)
    for shown, frame in decode(path):
        while time is not None and shown > time - early:
            yield upright(frame)
            time = next(wanted, None)
        if time is None:
            return
