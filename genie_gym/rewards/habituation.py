"""Habituation: a reward that wears off where one has been, by the square root of the visits.

Combined bonuses, in this episode and over all of them, are the robust ones in Henaff et al. (2023).
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
from torch import Tensor

__all__ = ["Habituation"]


class Habituation:
    """Weights 1 / sqrt(visits) of the frames that N environments come to.

    A visit counts itself, so the first one has the weight 1. Only frames that are asked about are counted: those that a
    reward is given for.

    Args:
        num_envs: Number of environments N.
        mode: "episodic" counts visits in the current episode of each environment, "lifelong" those of all environments
            since the beginning; "both" multiplies the two weights.
        keys: Function from frames uint8 (n, s, s, 3) to keys int64 (n,); frames of one key are one place.

    Attributes:
        lifelong: Number of visits by key.
    """

    def __init__(self, num_envs: int, mode: str, keys: Callable[[Tensor], np.ndarray]):
        self.mode, self.lifelong = mode, Counter[int]()
        self._keys = keys
        self._episodes = [Counter[int]() for _ in range(num_envs)]

    def copy(self) -> "Habituation":
        """Return one of the same visits, so that asking it changes nothing here."""
        other = Habituation(len(self._episodes), self.mode, self._keys)
        other.lifelong, other._episodes = self.lifelong.copy(), [visits.copy() for visits in self._episodes]
        return other

    def reset(self, rows: np.ndarray | None = None) -> None:
        """Begin new episodes in some rows, bool or indices; None for all."""
        chosen = np.arange(len(self._episodes))
        for row in chosen if rows is None else chosen[rows]:
            self._episodes[row].clear()

    def __call__(self, frames: Tensor, rows: np.ndarray, *, update: bool = True) -> np.ndarray:
        """Count a visit to each frame and return the weights.

        Args:
            frames: Uint8 (n, s, s, 3).
            rows: Int (n,), the environment of each frame.
            update: Whether the visits are kept in `lifelong`; those of the episode always are.

        Returns:
            Float32 (n,), in (0, 1].
        """
        weights = [self._visit(int(key), int(row), update) for key, row in zip(self._keys(frames), rows, strict=True)]
        return np.array(weights, np.float32)

    def _visit(self, key: int, row: int, update: bool) -> float:
        episode = self._episodes[row]
        episode[key] += 1
        lifelong = self.lifelong[key] + 1  # a Counter holds nothing for what is only asked
        if update:
            self.lifelong[key] = lifelong
        visits = {"episodic": episode[key], "lifelong": lifelong, "both": episode[key] * lifelong}[self.mode]
        return float(visits**-0.5)
