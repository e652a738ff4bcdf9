"""The configuration of converting images or a video into a dataset."""

import math
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError

__all__ = ["ConvertConfig"]


@dataclass(frozen=True)
class ConvertConfig:
    """How your own images or video become a dataset.

    Attributes:
        path: A folder of images, or a video.
        actions: A .csv, .txt or .jsonl file with one action per frame, by index or name. Without it, train finds
            latent actions in the frames.
        game: Name of the game, which becomes NAME-Own.
        action_names: Names of all actions, by index; needed if the first action file does not contain all of them,
            because later files must have the same.
        fps: Frames per second. Of a video, the rate to keep: that of the dataset, else about 15 (every second frame
            of 30, every fourth of 60). Of images, the rate they were taken at, 15 by default.
        terminated: Whether the game was over after the last action.
        keep_bars: Keep edges of a video that are always black; they are cropped by default.
        cuts: Start a new episode wherever the whole image of a video changes at once, for edited videos.
        out: Folder of the dataset, to which the episodes are added; the game's own folder by default.

    Raises:
        ConfigError: `fps` is not more than 0.
    """

    path: Path
    actions: Path | None = None
    game: str = "My"
    action_names: tuple[str, ...] = ()
    fps: float | None = None
    terminated: bool = False
    keep_bars: bool = False
    cuts: bool = False
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ConfigError(f"fps must be more than 0, got {self.fps:g}")
