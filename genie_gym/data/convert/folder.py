"""A folder of videos, and the action file of each."""

from collections.abc import Sequence
from pathlib import Path

from genie_gym.data.convert.columns import READERS
from genie_gym.data.convert.images import natural
from genie_gym.errors import ConfigError, DataError, printable
from genie_gym.utils import paths

__all__ = ["find_videos", "pair"]

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif", ".apng", ".flv", ".f4v", ".wmv", ".asf", ".mpg"),
    *(".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".3g2", ".ogv", ".vob", ".mxf", ".y4m", ".divx", ".rm", ".rmvb"),
)
NAMED = 5  # number of files that a message names


def find_videos(folder: Path) -> list[Path]:
    """Return the videos of a folder, in the order of the numbers in their names; hidden files are none."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and paths.is_file(path)
    ]
    return sorted(found, key=natural)


def pair(videos: Sequence[Path], actions: Path | None) -> list[tuple[Path, Path | None]]:
    """Return each video and its action file, which has its name and another ending.

    Args:
        videos: The videos of a folder.
        actions: The folder of the action files; by default the videos' own, where there may be none.

    Raises:
        ConfigError: `actions` is a single file.
        DataError: Some videos have an action file and others none, or one has several.
    """
    if actions is not None and not paths.is_folder(actions):
        raise ConfigError(
            f"{actions} is no folder, and there are {len(videos)} video(s); give each an action file of its name, such "
            f"as {printable(videos[0].with_suffix('.csv').name)}, in the folder of the videos or another one"
        )
    pairs = [(video, _action_file(video, actions or video.parent)) for video in videos]
    without = [printable(video.name) for video, file in pairs if file is None]
    if without and (actions is not None or len(without) < len(pairs)):
        more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
        raise DataError(
            f"{len(without)} of {len(pairs)} videos have no action file of their name: {', '.join(without[:NAMED])}"
            f"{more}; add them, or put videos with and without actions into folders of their own"
        )
    return pairs


def _action_file(video: Path, folder: Path) -> Path | None:
    candidates = [folder / f"{name}{suffix}" for name in (video.stem, video.name) for suffix in READERS]
    found = [path for path in candidates if paths.is_file(path)]
    if len(found) > 1:
        raise DataError(
            f"{video} has several action files: {', '.join(path.name for path in found)}; leave one of them"
        )
    return found[0] if found else None
