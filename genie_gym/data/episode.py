"""One episode of a game in memory: frames, the actions between them, their rewards, and how it ended."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genie_gym.errors import DataError

__all__ = ["Episode"]


@dataclass(frozen=True)
class Episode:
    """T frames and the T - 1 steps between: `actions[t]`, taken at `frames[t]`, led to `frames[t + 1]`, `rewards[t]`.

    Attributes:
        frames: uint8 (T, h, w, 3), RGB, T at least 2.
        actions: int64 (T - 1,), not negative.
        rewards: float32 (T - 1,).
        terminated: the game ended the episode with the last action.
        truncated: a step limit cut the episode after the last action.
        info: plain JSON values about the episode (seed, policy, ...).

    Raises:
        DataError: an array has another type or length than the above.

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

    def __post_init__(self) -> None:
        for name, dtype, dims in (("frames", np.uint8, 4), ("actions", np.int64, 1), ("rewards", np.float32, 1)):
            _check_array(name, getattr(self, name), np.dtype(dtype), dims)
        if len(self.frames) < 2:
            raise DataError(f"an episode needs at least 2 frames, got {len(self.frames)}")
        if self.frames.shape[3] != 3 or 0 in self.frames.shape:
            raise DataError(f"frames must have shape (T, height, width, 3), got {self.frames.shape}")
        for name in ("actions", "rewards"):
            if len(getattr(self, name)) != len(self.frames) - 1:
                raise DataError(
                    f"{len(self.frames)} frames need {len(self.frames) - 1} {name} (one between each two frames), "
                    f"got {len(getattr(self, name))}"
                )
        if self.actions.min() < 0:
            raise DataError(f"actions must not be negative, got {self.actions.min()}")

    def __len__(self) -> int:
        """The number of frames, T."""
        return len(self.frames)


def _check_array(name: str, value: Any, dtype: np.dtype, dims: int) -> None:
    if not isinstance(value, np.ndarray):
        raise DataError(f"{name} must be a numpy array, got {type(value).__name__}")
    if value.dtype != dtype or value.ndim != dims:
        raise DataError(f"{name} must be {dtype} with {dims} dimension(s), got {value.dtype} of shape {value.shape}")
