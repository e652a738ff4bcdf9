"""Converting your own images or video, with a file of actions, into a dataset."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genie_gym.data.action_file import ActionFile, read_actions
from genie_gym.data.config import ConvertConfig
from genie_gym.data.dataset import EpisodeDataset
from genie_gym.data.episode import Episode
from genie_gym.data.storage import Storage, first_line
from genie_gym.data.video import MAX_SIDE, Box, Video, check_length, read_video
from genie_gym.data.writer import EpisodeWriter
from genie_gym.errors import ConfigError, DataError, printable
from genie_gym.utils import paths
from genie_gym.utils.extras import require
from genie_gym.utils.images import letterbox
from genie_gym.utils.options import make_config
from genie_gym.utils.paths import file_size

__all__ = ["convert", "from_frames", "from_video"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_IMAGE_BYTES = 2**28
IMAGE_RATE = 15.0  # frames per second of images, unless given
# A video is split into several episodes, because only whole episodes can be held out for validation.
EPISODES, MIN_LENGTH, MAX_LENGTH = 10, 100, 1000  # number of episodes, if it keeps their lengths in these bounds
CUT_LEVELS, CUT_SHARE = 25, 0.7  # a change of more levels in more of the pixels is a cut rather than motion


def convert(
    path: str | Path | ConvertConfig, *, on_message: Callable[[str], None] = lambda line: None, **options: Any
) -> EpisodeDataset:
    """Convert a folder of images or a video into episodes, and append them to a dataset.

    The same source converted again replaces its earlier episodes.

    Args:
        path: A folder of images or a video, or a whole configuration.
        on_message: Called with lines of text for the user, about which frames of a video were kept.
        **options: Fields of ConvertConfig by name, in place of a configuration.

    Returns:
        The dataset, including episodes of earlier calls.

    Raises:
        ConfigError: An option is unknown or does not apply to images.
        DataError: A file is missing or unreadable, the frame rate is wrong, or the actions do not match the frames.
        GameError: The game's name has characters that are not allowed.
    """
    given = path if isinstance(path, ConvertConfig) else None
    config = make_config(ConvertConfig, given, options if given else {"path": path, **options})
    name, source = paths.own_name(config.game), Path(config.path)
    out, names = config.out or paths.data_dir(name), config.action_names or None
    if paths.is_folder(source):
        if config.cuts or config.keep_bars:
            raise ConfigError(f"--cuts and --keep-bars are for videos, and {source} is a folder of images")
        return from_frames(
            source,
            config.actions,
            out,
            game=name,
            action_names=names,
            terminated=config.terminated,
            fps=config.fps or IMAGE_RATE,
        )
    return from_video(
        source,
        config.actions,
        out,
        fps=config.fps,
        game=name,
        action_names=names,
        terminated=config.terminated,
        keep_bars=config.keep_bars,
        cuts=config.cuts,
        on_message=on_message,
    )


def from_frames(
    folder: str | Path,
    actions: str | Path | None,
    out: str | Path,
    *,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    terminated: bool = False,
    size: int = 64,
    fps: float = IMAGE_RATE,
) -> EpisodeDataset:
    """Append a folder of images, ordered by the numbers in their names, to the dataset in `out`.

    Args:
        folder: Folder of PNG, JPEG, BMP or WebP files of any size, which are padded to squares and resized.
        actions: Action file as described in `genie_gym.data.action_file`, with one line per image: the action taken at
            that image, which leads to the next. The line of the last image may be missing. None stores action 0
            throughout and says so in the header.
        out: Folder of the dataset.
        game: Title of the game, which becomes `Title-Own`.
        action_names: Names of the actions by index; by default those of the dataset in `out`, else of the file.
        terminated: Whether the game was over after the last action.
        size: Side of the stored frames in pixels.
        fps: Frames per second, to show them at the right speed.

    Returns:
        The dataset, including earlier episodes.

    Raises:
        DataError: A file is missing or unreadable, or the actions do not match the images.
        GameError: The game's name has characters that are not allowed.
    """
    images = _image_files(Path(folder))
    check_length(Path(folder), len(images), size)
    frames = np.stack([letterbox(_read_image(path), size) for path in images])
    taken = _matching_actions(actions, _header(out), action_names, (len(frames),), folder)
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
    on_message: Callable[[str], None] = lambda line: None,
) -> EpisodeDataset:
    """Append a video, in any format that OpenCV reads, to the dataset in `out`.

    Args:
        path: The video.
        actions: Action file as for `from_frames`, with one line per frame of the video or per frame kept. In the first
            case the action at a kept frame counts, and rewards up to the next kept frame are summed.
        out: Folder of the dataset.
        fps: Frames per second to keep, at most the video's own; by default the rate of the dataset in `out`, else about
            15, at which games are usually modelled (every second frame of 30, for example).
        game: Title of the game, which becomes `Title-Own`.
        action_names: Names of the actions by index; by default those of the dataset in `out`, else of the file.
        terminated: Whether the game was over after the last action.
        size: Side of the stored frames in pixels.
        keep_bars: Keep edges that are always black. They are cropped by default, in the same way for all videos of the
            dataset that have the same resolution.
        cuts: Start a new episode wherever the whole image changes at once, for edited videos. By default such a change
            is part of the game, such as entering another room.
        on_message: Called with lines of text for the user, about which frames were kept.

    Returns:
        The dataset, including earlier episodes.

    Raises:
        DataError: A file is missing or unreadable, `fps` is wrong, or the actions do not match the video.
        GameError: The game's name has characters that are not allowed.
    """
    path, header = Path(path), _header(out)
    video = read_video(path, _rate(out, header, fps), size, keep_bars=keep_bars, boxes=_boxes(header))
    on_message(str(video))
    counts = (len(video.frames), video.total)
    taken = _at_kept_frames(_matching_actions(actions, header, action_names, counts, path), video)
    scenes = _find_cuts(video.frames, video.box)
    if scenes and not cuts:
        on_message(
            f"{len(scenes)} time(s) the whole image changes at once; "
            f"if the video was edited there, remove {out} and convert it again with --cuts"
        )
    run = {"no_actions": actions is None, "pixels": list(video.pixels), "box": list(video.box)}
    description = _game(game, taken.names, video.rate)
    return _store(path, video.frames, taken, out, description, terminated, run, scenes if cuts else [])


def _header(out: str | Path) -> dict[str, Any] | None:
    """Return the header of the dataset in a folder, None if there is no dataset yet."""
    storage = Storage(out)
    return storage.read_header() if paths.exists(storage.header_path) else None


def _rate(out: str | Path, header: dict[str, Any] | None, fps: float | None) -> float | None:
    """Return the frame rate of a video to keep; a dataset has only one."""
    known = header and header["game"].get("fps")
    if known and fps and abs(fps - known) > 0.02 * known:
        raise DataError(
            f"{out} has {known:g} frames a second, not {fps:g}; leave --fps out, or choose another --game or --out"
        )
    return known or fps


def _boxes(header: dict[str, Any] | None) -> dict[tuple[int, int], Box]:
    """Return the part that was kept of earlier videos, by their resolution."""
    runs = header["runs"] if header else []
    return {tuple(run["pixels"]): tuple(run["box"]) for run in runs if "box" in run}


def _find_cuts(frames: np.ndarray, box: Box) -> list[int]:
    """Return the index of the first frame of each new scene, where most pixels change at once."""
    share = CUT_SHARE * min(box[2:]) / max(box[2:])  # the rest of the square is padding
    changed = (np.abs(after.astype(np.int16) - before).max(-1) > CUT_LEVELS for before, after in pairwise(frames))
    return [index for index, pixels in enumerate(changed, 1) if pixels.mean() > share]


def _image_files(folder: Path) -> list[Path]:
    if not paths.is_folder(folder):
        raise DataError(f"no folder {folder}; give the folder that holds the images")
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if len(found) < 2:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise DataError(f"{folder} holds {len(found)} image(s) ({suffixes}); an episode needs at least 2")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read_image(path: Path) -> np.ndarray:
    """Return an image, uint8 (height, width, 3).

    Raises:
        DataError: It cannot be read, or is absurdly large, which its first bytes tell before it is decoded.
    """
    pillow = require("PIL.Image", "train")
    try:
        if file_size(path) > MAX_IMAGE_BYTES:
            raise ValueError(f"it has more than {MAX_IMAGE_BYTES:,} bytes")
        with pillow.open(path) as header:
            if max(header.size) > MAX_SIDE:
                raise ValueError(f"it has {header.size[0]}x{header.size[1]} pixels, the longest side is {MAX_SIDE:,}")
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("it is damaged")
    except Exception as error:  # Pillow and OpenCV raise what they like for files that are damaged on purpose
        raise DataError(
            f"{printable(path)} is no readable image ({printable(first_line(error)):.200}); repair or remove it (and "
            "its line in the action file)"
        ) from None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _matching_actions(
    actions: str | Path | None,
    header: dict[str, Any] | None,
    names: Sequence[str] | None,
    counts: tuple[int, ...],
    source: Any,
) -> ActionFile:
    """Read the action file, and check that its length is that of the frames kept or of all frames."""
    if header is not None:
        _check_kind(header, actions is not None)
        names = header["actions"] if names is None else names
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


def _check_kind(header: dict[str, Any], with_actions: bool) -> None:
    """Check that a dataset does not mix episodes with actions and episodes without."""
    without = [bool(run.get("no_actions")) for run in header["runs"]]
    if with_actions and any(without):
        raise DataError(
            "the dataset was made without actions; give episodes with actions a folder of their own with --out"
        )
    if not with_actions and not all(without):
        raise DataError(
            "the dataset was made with actions; give episodes without actions a folder of their own with --out"
        )


def _at_kept_frames(taken: ActionFile, video: Video) -> ActionFile:
    """Return the actions at the frames that were kept, with the rewards of skipped frames summed."""
    if len(taken.actions) < video.total - 1 or len(video.indices) == video.total:
        return taken
    rewards = np.pad(taken.rewards, (0, video.total - len(taken.rewards)))
    kept = video.indices[video.indices < len(taken.actions)]
    return ActionFile(taken.actions[kept], np.add.reduceat(rewards, video.indices), taken.names)


def _game(title: str, names: list[str], fps: float) -> dict[str, Any]:
    """Return a description of the game in the form of `genie_gym.games.GameSpec.to_dict`."""
    game = paths.own_name(title)
    actions = [{"meaning": name, "buttons": [], "keys": _keys(name, index)} for index, name in enumerate(names)]
    named = {"name": game, "title": game.removesuffix("-Own"), "system": "Own"}
    return {**named, "actions": actions, "fps": fps, "frame_skip": 1, "noop_max": 0}


def _keys(name: str, index: int) -> list[str]:
    """Return the keys for an action: arrows if it is named after them, else its index if that is a digit."""
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
    run: dict[str, Any],
    cuts: Sequence[int] = (),
) -> EpisodeDataset:
    run = {"policy": "converted", "source": printable(source.name), **run}
    header = {"game": game, "actions": taken.names, "frame_skip": 1, **run}
    name, spans = _source_id(frames), list(_spans(len(frames), cuts))
    if not spans:
        raise DataError(f"{source} gives {len(frames)} frame(s), of which no episode can be made; give more a second")
    with EpisodeWriter(out, header) as writer:
        for start, stop in spans:
            ended = terminated and stop == len(frames)
            steps = slice(start, stop - 1)
            info = {"id": f"{name}-{start:07d}", "first_frame": start, **run}
            writer.append(
                Episode(frames[start:stop], taken.actions[steps], taken.rewards[steps], ended, not ended, info)
            )
    return EpisodeDataset(out)


def _spans(frames: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first frame of each episode and the one after its last; scenes of a single frame are dropped."""
    longest = min(max(frames // EPISODES, MIN_LENGTH), MAX_LENGTH)
    for first, last in pairwise([0, *cuts, frames]):
        if last - first > 1:
            count = -(-(last - first) // longest)
            yield from pairwise(np.linspace(first, last, count + 1).astype(int).tolist())


def _source_id(frames: np.ndarray) -> str:
    """Return a hash of the frames: a video replaces itself even under another name, and not another of its name."""
    return f"own-{hashlib.blake2b(np.ascontiguousarray(frames).data, digest_size=8).hexdigest()}"
