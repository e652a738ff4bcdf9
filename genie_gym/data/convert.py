"""Turning somebody's own pictures or video, with a file of actions, into a recording."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genie_gym.data.action_file import ActionFile, read_actions
from genie_gym.data.episode import Episode
from genie_gym.data.recording import Recording
from genie_gym.data.storage import Storage
from genie_gym.data.writer import RecordingWriter
from genie_gym.errors import DataError
from genie_gym.frames import square

__all__ = ["from_frames", "from_video"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
EPISODE_FRAMES = 1000  # a long recording is cut into episodes, because only whole episodes can be held out


def from_frames(
    folder: str | Path,
    actions: str | Path | None,
    out: str | Path,
    *,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    terminated: bool = False,
    size: int = 64,
    fps: float = 15.0,
) -> Recording:
    """Appends a folder of pictures, in the order of the numbers in their names, to the recording in `out`.

    Args:
        folder: PNG, JPEG, BMP or WebP files of any size; they are padded to squares and resized.
        actions: a file as `genie_gym.data.action_file` describes, with a line for each picture: the action taken at
            that picture, which leads to the next. The last picture's line may be missing. None records action 0
            throughout, and the header says so.
        out: folder of the recording; call again to add more.
        game: what to call the game; it becomes `Title-Own`.
        action_names: what the actions are called, by index; else those of the recording in `out`, else the file's.
        terminated: the game was over after the last action.
        size: side of the stored pictures in pixels.
        fps: pictures a second, for showing them at the right speed.

    Returns:
        The recording, all earlier episodes included.

    Raises:
        DataError: a missing or unreadable file, or actions that do not fit the pictures.
    """
    paths = _pictures(Path(folder))
    frames = np.stack([square(_read_picture(path), size) for path in paths])
    taken = _read_fitting(actions, out, action_names, (len(frames),), folder)
    return _store(Path(folder), frames, taken, out, _game(game, taken.names, fps), terminated, actions is None)


def from_video(
    path: str | Path,
    actions: str | Path | None,
    out: str | Path,
    *,
    fps: float | None = None,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    terminated: bool = False,
    size: int = 64,
) -> Recording:
    """Appends a video, in any format that OpenCV reads, to the recording in `out`.

    Args:
        fps: frames a second to keep, not above the video's own; all by default. Games are usually modelled at 15.
        actions: as for `from_frames`; a line for each frame of the video, or for each frame kept. Of the former, the
            action at a kept frame counts, and rewards up to the next kept frame are summed.
        out, game, action_names, terminated, size: as for `from_frames`.

    Returns:
        The recording, all earlier episodes included.

    Raises:
        DataError: a missing or unreadable file, a wrong `fps`, or actions that do not fit the video.
    """
    path = Path(path)
    frames, kept, total, rate = _read_video(path, fps, size)
    taken = _read_fitting(actions, out, action_names, (len(frames), total), path)
    if len(taken.actions) >= total - 1 and len(kept) < total:
        rewards = np.pad(taken.rewards, (0, total - len(taken.rewards)))
        taken = ActionFile(taken.actions[kept[kept < len(taken.actions)]], np.add.reduceat(rewards, kept), taken.names)
    return _store(path, frames, taken, out, _game(game, taken.names, rate), terminated, actions is None)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; give the folder that holds the pictures")
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    if len(found) < 2:
        raise DataError(f"{folder} holds {len(found)} picture(s) ({', '.join(PICTURES)}); an episode needs at least 2")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts frame_2 before frame_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read_picture(path: Path) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if picture is None:
        raise DataError(f"{path} is no readable picture; repair or remove it (and its line in the action file)")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _read_video(path: Path, fps: float | None, size: int) -> tuple[np.ndarray, np.ndarray, int, float]:
    """The kept frames, their places in the video, the number of all frames, and the kept frames a second."""
    if not path.is_file():
        raise DataError(f"no video {path}")
    video = cv2.VideoCapture(str(path))
    try:
        own = video.get(cv2.CAP_PROP_FPS)
        stride = _stride(path, own, fps)
        frames: list[np.ndarray] = []
        kept: list[int] = []
        total = 0
        while (read := video.read())[0]:
            if total >= len(kept) * stride:
                frames.append(square(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), size))
                kept.append(total)
            total += 1
    finally:
        video.release()
    if len(frames) < 2:
        raise DataError(f"{len(frames)} frame(s) could be read from {path}; it is no video OpenCV reads, or too short")
    return np.stack(frames), np.array(kept), total, fps or own or 15.0


def _stride(path: Path, own: float, fps: float | None) -> float:
    """Video frames from one kept frame to the next, at least 1."""
    if fps is None or not own:
        return 1.0
    if not 0 < fps <= own + 0.01:
        raise DataError(f"fps must be above 0 and not above the {own:g} of {path}, got {fps}")
    return max(own / fps, 1.0)


def _read_fitting(
    actions: str | Path | None, out: str | Path, names: Sequence[str] | None, counts: tuple[int, ...], source: Any
) -> ActionFile:
    """The action file, once its number of lines is found to fit one of the frame counts."""
    if names is None and Storage(out).header_path.exists():
        names = Storage(out).read_header()["actions"]
    if actions is None:
        zeros = np.zeros(counts[0], np.int64)
        return ActionFile(zeros, zeros.astype(np.float32), list(names or ["NOOP"]))
    taken = read_actions(actions, names)
    if not any(len(taken.actions) in (count, count - 1) for count in counts):
        wanted = " or ".join(str(count) for count in dict.fromkeys(counts))
        raise DataError(
            f"{actions} has {len(taken.actions)} actions, but {source} has {wanted} frames; give one action a frame "
            "(the last may be missing)"
        )
    return taken


def _game(title: str, names: list[str], fps: float) -> dict[str, Any]:
    """The game's description, in the form in which `genie_gym.games` describes all games."""
    title = title.removesuffix("-Own")
    actions = [{"meaning": name, "buttons": [], "keys": []} for name in names]
    named = {"name": f"{title}-Own", "title": title, "system": "Own"}
    return {**named, "actions": actions, "fps": fps, "frame_skip": 1, "noop_max": 0}


def _store(
    source: Path,
    frames: np.ndarray,
    taken: ActionFile,
    out: str | Path,
    game: dict[str, Any],
    terminated: bool,
    no_actions: bool,
) -> Recording:
    run = {"policy": "converted", "source": source.name, "no_actions": no_actions}
    header = {"game": game, "actions": taken.names, "frame_skip": 1, **run}
    name = _name_source(source, frames)
    with RecordingWriter(out, header) as writer:
        for start in range(0, len(frames) - 1, EPISODE_FRAMES):
            stop = start + EPISODE_FRAMES
            if stop >= len(frames) - 1:  # a single last frame could be no episode of its own
                stop = len(frames)
            ended = terminated and stop == len(frames)
            steps = slice(start, stop - 1)
            info = {"id": f"{name}-{start:07d}", "first_frame": start, **run}
            writer.append(
                Episode(frames[start:stop], taken.actions[steps], taken.rewards[steps], ended, not ended, info)
            )
    return Recording(out)


def _name_source(source: Path, frames: np.ndarray) -> str:
    """The source's name and a hash of its frames: the same video again replaces itself, a namesake does not."""
    digest = hashlib.blake2b(frames.tobytes(), digest_size=4).hexdigest()
    return f"own-{re.sub(r'[^A-Za-z0-9_.-]', '_', source.stem)}-{digest}"
