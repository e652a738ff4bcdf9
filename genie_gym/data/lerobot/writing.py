"""Writing a LeRobotDataset v3."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data.dataset import EpisodeDataset
from genie_gym.data.episode import Episode
from genie_gym.data.lerobot.layout import DATA, EPISODES, INFO, TASKS, VERSION, VIDEO
from genie_gym.errors import DataError, first_line
from genie_gym.utils import paths
from genie_gym.utils.extras import require
from genie_gym.utils.progress import tracked

__all__ = ["export_lerobot"]

CAMERA = "observation.image"
CHUNK = 1000  # files in a folder
FIRST = {"chunk_index": 0, "file_index": 0}
CODEC, PIXELS, QUALITY = "libx264", "yuv420p", {"crf": "12", "g": "2"}  # every second frame stands alone, as in LeRobot
SCALAR = {"shape": [1], "names": None}
COUNTERS = {"timestamp": "float32", **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")}


def export_lerobot(dataset: EpisodeDataset, folder: str | Path) -> Path:
    """Write a dataset as a LeRobotDataset v3, one mp4 file an episode. H.264 changes the pixels a little.

    An episode's last frame has action 0 and reward 0; its `next.done` says whether the game was over.

    Args:
        dataset: The episodes.
        folder: Where to write; nothing may be there.

    Raises:
        MissingExtraError: pyarrow or PyAV is not installed.
        DataError: There is something at `folder` already, or the disk is full or read-only.
    """
    arrow, parquet, folder = require("pyarrow"), require("pyarrow.parquet"), Path(folder)
    require("av")
    if paths.exists(folder):
        raise DataError(f"{folder} exists already; choose another folder")
    fps = max(1, round(dataset.header["game"].get("fps", 15)))
    try:
        episodes = _write_episodes(dataset, folder, fps)
        table = folder / EPISODES.format(**FIRST)
        table.parent.mkdir(parents=True)
        parquet.write_table(arrow.Table.from_pylist(episodes), table)
        tasks = arrow.table({"task_index": [0], "task": [dataset.header["game"].get("title", "play")]})
        parquet.write_table(tasks.replace_schema_metadata(_pandas_index("task")), folder / TASKS)
        info = _info(dataset, fps, episodes)
        (folder / INFO).write_text(json.dumps(info, indent=4) + "\n")
    except OSError as error:
        raise DataError(f"cannot write {folder} ({error.strerror or first_line(error)})") from None
    return folder


def _write_episodes(dataset: EpisodeDataset, folder: Path, fps: int) -> list[dict[str, Any]]:
    """Write the rows and videos of all episodes; return the description of each."""
    described: list[dict[str, Any]] = []
    start, writer = 0, None
    for index, episode in enumerate(tracked(dataset.episodes(), "exporting", len(dataset), unit="episodes")):
        place = {"chunk_index": index // CHUNK, "file_index": index % CHUNK}
        path = folder / VIDEO.format(video_key=CAMERA, **place)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_video(path, episode.frames, fps)
        table = _episode_table(episode, index, start, fps)
        if writer is None:
            (folder / DATA.format(**FIRST)).parent.mkdir(parents=True, exist_ok=True)
            writer = require("pyarrow.parquet").ParquetWriter(folder / DATA.format(**FIRST), table.schema)
        writer.write_table(table)
        described.append(
            {
                "episode_index": index,
                "tasks": [dataset.header["game"].get("title", "play")],
                "length": len(episode),
                "dataset_from_index": start,
                "dataset_to_index": start + len(episode),
                **{f"{part}/{name}": value for part in ("data", "meta/episodes") for name, value in FIRST.items()},
                **{f"videos/{CAMERA}/{name}": value for name, value in place.items()},
                f"videos/{CAMERA}/from_timestamp": 0.0,
                f"videos/{CAMERA}/to_timestamp": len(episode) / fps,
            }
        )
        start += len(episode)
    if writer is not None:
        writer.close()
    return described


def _episode_table(episode: Episode, index: int, start: int, fps: int) -> Any:
    """Return one row for each frame; the last has no action."""
    count = len(episode)
    frame = np.arange(count)
    return require("pyarrow").table(
        {
            "action": np.append(episode.actions, 0),
            "next.reward": np.append(episode.rewards, np.float32(0)),
            "next.done": (frame == count - 1) & episode.terminated,
            "timestamp": (frame / fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(count, index),
            "index": start + frame,
            "task_index": np.zeros(count, np.int64),
        }
    )


def _write_video(path: Path, frames: np.ndarray, fps: int) -> None:
    """Write uint8 (t, h, w, 3) as an mp4."""
    av = require("av")
    with path.open("wb") as file, av.open(file, "w", format="mp4") as out:
        stream = out.add_stream(CODEC, rate=fps, options=QUALITY)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], PIXELS
        for index, frame in enumerate(frames):
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image.pts, image.time_base = index, Fraction(1, fps)
            out.mux(stream.encode(image))
        out.mux(stream.encode(None))


def _info(dataset: EpisodeDataset, fps: int, episodes: list[dict[str, Any]]) -> dict[str, Any]:
    height, width = dataset.frames(0, 0, 1).shape[1:3]
    video = {"video.height": height, "video.width": width, "video.channels": 3, "video.fps": fps}
    video |= {"video.codec": "h264", "video.pix_fmt": PIXELS, "video.is_depth_map": False, "has_audio": False}
    return {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": len(episodes),
        "total_frames": episodes[-1]["dataset_to_index"],
        "total_tasks": 1,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": DATA,
        "video_path": VIDEO,
        "features": {
            CAMERA: {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": ["height", "width", "channels"],
                "info": video,
            },
            "action": {"dtype": "int64", **SCALAR, "info": {"names": dataset.header["actions"]}},
            "next.reward": {"dtype": "float32", **SCALAR},
            "next.done": {"dtype": "bool", **SCALAR},
            **{name: {"dtype": dtype, **SCALAR} for name, dtype in COUNTERS.items()},
        },
    }


def _pandas_index(name: str) -> dict[bytes, bytes]:
    """Return a parquet schema's metadata that makes a column of texts the index, as LeRobot expects, in pandas."""
    column = {"metadata": None, "field_name": "task_index", "name": "task_index"}
    columns = [
        {**column, "pandas_type": "int64", "numpy_type": "int64"},
        {**column, "field_name": name, "name": name, "pandas_type": "unicode", "numpy_type": "object"},
    ]
    described = {"index_columns": [name], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    return {b"pandas": json.dumps(described).encode()}
