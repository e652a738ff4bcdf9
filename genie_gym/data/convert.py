"""Turning somebody's own pictures or video, with a file of actions, into a recording."""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genie_gym.data.action_file import ActionFile, read_actions
from genie_gym.data.episode import Episode
from genie_gym.data.recording import Recording
from genie_gym.data.storage import Storage
from genie_gym.data.video import Box, read_video
from genie_gym.data.writer import RecordingWriter
from genie_gym.errors import DataError
from genie_gym.frames import square
from genie_gym.paths import own_name

__all__ = ["from_frames", "from_video"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# A recording is cut into episodes, because only whole episodes can be held out; there are to be some to choose from.
PIECES, SHORTEST, LONGEST = 10, 100, 1000  # how many, and how long they may be for it
JUMP_LEVELS, JUMP_SHARE = 25, 0.7  # so much change of so many pixels is no movement


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
        GameError: the game's name has characters that no name has.
    """
    if not 0 < fps < math.inf:
        raise DataError(f"fps must be more than 0, got {fps:g}")
    paths = _pictures(Path(folder))
    frames = np.stack([square(_read_picture(path), size) for path in paths])
    taken = _read_fitting(actions, _header(out), action_names, (len(frames),), folder)
    run = {"no_actions": actions is None}
    return _store(Path(folder), frames, taken, out, _game(game, taken.names, fps), terminated, run)


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
    keep_bars: bool = False,
    cuts: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Recording:
    """Appends a video, in any format that OpenCV reads, to the recording in `out`.

    Args:
        fps: frames a second to keep, not above the video's own; by default as many as the recording in `out` has, else
            about 15, at which games are usually modelled: every second of 30, say.
        actions: as for `from_frames`; a line for each frame of the video, or for each frame kept. Of the former, the
            action at a kept frame counts, and rewards up to the next kept frame are summed.
        keep_bars: leaves what is black at the edges throughout. Else it is cut off, the same in all videos of the
            recording that have the same number of pixels.
        cuts: begins an episode wherever the whole picture changes at once: for edited videos. Without it such a
            change is something that happens in the game, like entering another room.
        report: told in a line or two what was taken.
        out, game, action_names, terminated, size: as for `from_frames`.

    Returns:
        The recording, all earlier episodes included.

    Raises:
        DataError: a missing or unreadable file, a wrong `fps`, or actions that do not fit the video.
        GameError: the game's name has characters that no name has.
    """
    path, before = Path(path), _header(out)
    video = read_video(path, _rate(out, before, fps), size, keep_bars=keep_bars, boxes=_boxes(before))
    report(str(video))
    taken = _read_fitting(actions, before, action_names, (len(video.frames), video.total), path)
    if len(taken.actions) >= video.total - 1 and len(video.places) < video.total:
        rewards = np.pad(taken.rewards, (0, video.total - len(taken.rewards)))
        kept = video.places[video.places < len(taken.actions)]
        taken = ActionFile(taken.actions[kept], np.add.reduceat(rewards, video.places), taken.names)
    jumps = _jumps(video.frames, video.box)
    if jumps and not cuts:
        report(
            f"{len(jumps)} time(s) the whole picture changes at once; "
            f"if the video was edited there, remove {out} and convert it again with --cuts"
        )
    run = {"no_actions": actions is None, "pixels": list(video.pixels), "box": list(video.box)}
    about = _game(game, taken.names, video.rate)
    return _store(path, video.frames, taken, out, about, terminated, run, jumps if cuts else [])


def _header(out: str | Path) -> dict[str, Any] | None:
    """That of the recording in a folder; None where there is no recording yet."""
    storage = Storage(out)
    return storage.read_header() if storage.header_path.exists() else None


def _rate(out: str | Path, before: dict[str, Any] | None, fps: float | None) -> float | None:
    """Frames a second to take of a video that joins a recording: there can be only one rate."""
    known = before and before["game"].get("fps")
    if known and fps and abs(fps - known) > 0.02 * known:
        raise DataError(
            f"{out} has {known:g} frames a second, not {fps:g}; leave --fps out, or choose another --game or --out"
        )
    return known or fps


def _boxes(before: dict[str, Any] | None) -> dict[tuple[int, int], Box]:
    """What was taken of earlier videos, by their number of pixels."""
    runs = before["runs"] if before else []
    return {tuple(run["pixels"]): tuple(run["box"]) for run in runs if "box" in run}


def _jumps(frames: np.ndarray, box: Box) -> list[int]:
    """Where most of the picture is suddenly another one: numbers of the first frames of new scenes."""
    share = JUMP_SHARE * min(box[2:]) / max(box[2:])  # the rest of the square is bars
    changed = (np.abs(after.astype(np.int16) - before).max(-1) > JUMP_LEVELS for before, after in pairwise(frames))
    return [number for number, where in enumerate(changed, 1) if where.mean() > share]


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; give the folder that holds the pictures")
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file()]
    if len(found) < 2:
        raise DataError(f"{folder} holds {len(found)} picture(s) ({', '.join(PICTURES)}); an episode needs at least 2")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read_picture(path: Path) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if picture is None:
        raise DataError(f"{path} is no readable picture; repair or remove it (and its line in the action file)")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _read_fitting(
    actions: str | Path | None,
    before: dict[str, Any] | None,
    names: Sequence[str] | None,
    counts: tuple[int, ...],
    source: Any,
) -> ActionFile:
    """The action file, once its number of lines is found to fit the number of frames taken or of all frames."""
    if actions is not None and before is not None and any(run.get("no_actions") for run in before["runs"]):
        raise DataError("the recording was made without actions; give play with actions a folder of its own with --out")
    if names is None and before is not None:
        names = before["actions"]
    if actions is None and before is not None and not all(run.get("no_actions") for run in before["runs"]):
        raise DataError("the recording was made with actions; give play without actions a folder of its own with --out")
    if actions is None:
        zeros = np.zeros(counts[0], np.int64)
        return ActionFile(zeros, zeros.astype(np.float32), list(names or ["NOOP"]))
    taken = read_actions(actions, names)
    if not any(len(taken.actions) in (count, count - 1) for count in counts):
        kept, total = counts[0], counts[-1]
        some = ("", "") if kept == total else (f", of which {kept} are taken", ", or for each one taken")
        raise DataError(
            f"{actions} has {len(taken.actions)} actions, but {source} has {total} frames{some[0]}; give one action a "
            f"frame{some[1]} (the last may be missing)"
        )
    return taken


def _game(title: str, names: list[str], fps: float) -> dict[str, Any]:
    """The game's description, in the form in which `genie_gym.games` describes all games."""
    name = own_name(title)
    actions = [{"meaning": name, "buttons": [], "keys": _keys(name, index)} for index, name in enumerate(names)]
    named = {"name": name, "title": name.removesuffix("-Own"), "system": "Own"}
    return {**named, "actions": actions, "fps": fps, "frame_skip": 1, "noop_max": 0}


def _keys(name: str, index: int) -> list[str]:
    """What a person presses for an action: arrows for what is called so, else its number, if it is a digit."""
    parts = name.lower().split("+")
    if set(parts) <= {"left", "right", "up", "down"}:
        return parts
    return [] if name.upper() == "NOOP" or index > 9 else [str(index)]


def _store(
    source: Path,
    frames: np.ndarray,
    taken: ActionFile,
    out: str | Path,
    game: dict[str, Any],
    terminated: bool,
    about: dict[str, Any],
    jumps: Sequence[int] = (),
) -> Recording:
    run = {"policy": "converted", "source": source.name, **about}
    header = {"game": game, "actions": taken.names, "frame_skip": 1, **run}
    name, pieces = _name_source(frames), list(_pieces(len(frames), jumps))
    if not pieces:
        raise DataError(f"{source} gives {len(frames)} frame(s), of which no episode can be made; give more a second")
    with RecordingWriter(out, header) as writer:
        for start, stop in pieces:
            ended = terminated and stop == len(frames)
            steps = slice(start, stop - 1)
            info = {"id": f"{name}-{start:07d}", "first_frame": start, **run}
            writer.append(
                Episode(frames[start:stop], taken.actions[steps], taken.rewards[steps], ended, not ended, info)
            )
    return Recording(out)


def _pieces(frames: int, jumps: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and one past the last frame of each episode; a scene of a single frame is none."""
    longest = min(max(frames // PIECES, SHORTEST), LONGEST)
    for first, last in pairwise([0, *jumps, frames]):
        if last - first > 1:
            count = -(-(last - first) // longest)
            yield from pairwise(np.linspace(first, last, count + 1).astype(int).tolist())


def _name_source(frames: np.ndarray) -> str:
    """By a hash of its frames: the same video replaces itself, under another name too, and a namesake does not."""
    return f"own-{hashlib.blake2b(np.ascontiguousarray(frames).data, digest_size=8).hexdigest()}"
