"""One episode of a game in memory: its frames, actions and rewards, and how it ended."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genie_gym.errors import DataError

__all__ = ["MAX_BYTES", "Episode"]

MAX_BYTES = 2**32  # of the frames of one episode, which may be read as a whole: 349,525 of 64x64 pixels


@dataclass(frozen=True)
class Episode:
    """T frames and the T - 1 steps between them: `actions[t]`, taken at `frames[t]`, led to `frames[t + 1]`.

    Attributes:
        frames: uint8 (T, h, w, 3), RGB, T at least 2.
        actions: int64 (T - 1,), not negative.
        rewards: float32 (T - 1,), finite; `rewards[t]` was received for `actions[t]`.
        terminated: Whether the game ended with the last action.
        truncated: Whether a step limit ended the episode after the last action.
        info: JSON values about the episode (seed, policy, ...).
        high_res: uint8 (T, k h, k w, 3) with an integer k: the same frames at a higher resolution, to train an upscaler
            on. None if they were not collected, and in episodes read from a dataset (see `EpisodeDataset.high_res`).

    Raises:
        DataError: An array has another type or length, an action is negative, a reward is NaN or infinite, or the
            frames are more than 4 GiB.

    >>> frames = np.zeros((3, 64, 64, 3), np.uint8)
    >>> len(Episode(frames, np.array([0, 1]), np.zeros(2, np.float32)))
    3
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] = field(default_factory=dict)
    high_res: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, dtype, dims in (("frames", np.uint8, 4), ("actions", np.int64, 1), ("rewards", np.float32, 1)):
            _check_array(name, getattr(self, name), np.dtype(dtype), dims)
        if len(self.frames) < 2:
            raise DataError(f"an episode needs at least 2 frames, got {len(self.frames)}")
        if self.frames.shape[3] != 3 or 0 in self.frames.shape:
            raise DataError(f"frames must have shape (T, height, width, 3), got {self.frames.shape}")
        if self.frames.nbytes > MAX_BYTES:
            raise DataError(f"an episode's frames take at most {MAX_BYTES:,} bytes, got {self.frames.nbytes:,}")
        for name in ("actions", "rewards"):
            if len(getattr(self, name)) != len(self.frames) - 1:
                raise DataError(
                    f"{len(self.frames)} frames need {len(self.frames) - 1} {name} (one between each two frames), "
                    f"got {len(getattr(self, name))}"
                )
        if self.actions.min() < 0:
            raise DataError(f"actions must not be negative, got {self.actions.min()}")
        if not np.isfinite(self.rewards).all():
            raise DataError(f"rewards must be finite, got {self.rewards[~np.isfinite(self.rewards)][0]}")
        if self.high_res is not None:
            _check_high_res(self.high_res, self.frames)

    def __len__(self) -> int:
        """Return the number of frames, T."""
        return len(self.frames)


def _check_array(name: str, value: Any, dtype: np.dtype, dims: int) -> None:
    if not isinstance(value, np.ndarray):
        raise DataError(f"{name} must be a numpy array, got {type(value).__name__}")
    if value.dtype != dtype or value.ndim != dims:
        raise DataError(f"{name} must be {dtype} with {dims} dimension(s), got {value.dtype} of shape {value.shape}")


def _check_high_res(high_res: Any, frames: np.ndarray) -> None:
    _check_array("high_res", high_res, np.dtype(np.uint8), 4)
    count, height, width, _ = frames.shape
    k = high_res.shape[1] // height
    if not k or high_res.shape != (count, k * height, k * width, 3):
        raise DataError(
            f"high-resolution frames must be as many as the frames and a whole number of times as high and wide, "
            f"got {high_res.shape} for {frames.shape}"
        )
