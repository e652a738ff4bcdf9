"""The configuration of converting images or videos into a dataset."""

import math
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import at_least

__all__ = ["ConvertConfig"]


@dataclass(frozen=True)
class ConvertConfig:
    """How your own images or videos become a dataset.

    Attributes:
        path: A video, a folder of videos, or a folder of images.
        actions: A .csv, .txt or .jsonl file with one action per frame, by index, name or buttons. For a folder of
            videos, the folder that holds a file of each one's name; by default they are looked for beside the videos.
            Without it, train finds latent actions in the frames.
        game: Name of the game, which becomes NAME-Own.
        action_names: Names of all actions, by index; needed if the first action file does not contain all of them,
            because later files must have the same.
        fps: Frames per second. Of a video, the rate to keep: that of the dataset, else about 15 (every second frame
            of 30, every fourth of 60). Of images, the rate they were taken at, 15 by default.
        terminated: Whether the game was over after the last action, where the action file does not say it.
        keep_bars: Keep edges of a video that are always black; each video's own are cropped by default.
        cuts: Start a new episode wherever the whole image of a video changes at once, for edited videos.
        workers: Number of processes that share a folder of videos; one per CPU core by default.
        out: Folder of the dataset, to which the episodes are added; the game's own folder by default.

    Raises:
        ConfigError: `fps` is not more than 0, or `workers` out of range.
    """

    path: Path
    actions: Path | None = None
    game: str = "My"
    action_names: tuple[str, ...] = ()
    fps: float | None = None
    terminated: bool = False
    keep_bars: bool = False
    cuts: bool = False
    workers: int | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ConfigError(f"fps must be more than 0, got {self.fps:g}")
        at_least(1, workers=self.workers)
