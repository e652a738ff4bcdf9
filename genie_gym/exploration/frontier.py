"""The frontier of exploration: savestates by cell, of which the most promising one is where an episode begins.

After Go-Explore (Ecoffet et al. 2021): first return, then explore. A cell promises much where the world model was
uncertain and where few steps have led: its score, divided by the square root of its visits.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from genie_gym.exploration.coverage import cell_keys
from genie_gym.utils.validation import at_least, check_unit_interval

__all__ = ["FrontierArchive"]

CAPACITY = 200  # states; one of stable-retro has about a megabyte


@dataclass
class _Cell:
    """The state first kept of a cell, and the latest score there."""

    state: Any
    score: float


class FrontierArchive:
    """An archive of savestates by cell, see `genie_gym.exploration.coverage.cell_keys`.

    When it is full, a new cell takes the place of the one that promises least, if it promises more.

    Args:
        share: Share of the episodes, 0 to 1, that begin at one of its states.
        seed: Seed of drawing which ones do.
        capacity: Number of states kept at most.

    Attributes:
        visits: Number of visits by cell, also to cells of which no state is kept.
        cells: The kept states with their scores, by cell.

    >>> archive = FrontierArchive(share=1.0)
    >>> dark, light = (np.full((1, 64, 64, 3), level, np.uint8) for level in (0, 200))
    >>> for frame, score in ((dark, 0.5), (light, 0.6)):
    ...     archive.visit(frame)
    ...     archive.offer(frame[0], score, lambda: f"state of score {score}")
    >>> archive.draw()
    'state of score 0.6'
    >>> archive.visit(light)  # 0.6 / sqrt(2) < 0.5
    >>> archive.draw()
    'state of score 0.5'
    """

    def __init__(self, share: float = 1.0, seed: int = 0, capacity: int = CAPACITY):
        check_unit_interval(share=share)
        at_least(1, capacity=capacity)
        self.share, self.capacity = share, capacity
        self.visits, self.cells = Counter[int](), dict[int, _Cell]()
        self._rng = np.random.default_rng(seed)

    def visit(self, frames: np.ndarray) -> None:
        """Count a visit to the cell of each frame uint8 (n, s, s, 3)."""
        self.visits.update(cell_keys(frames).tolist())

    def offer(self, frame: np.ndarray, score: float, take: Callable[[], Any]) -> None:
        """Take the score of a visited frame into account.

        Args:
            frame: Uint8 (s, s, 3).
            score: The reward of coming there, 0 or more.
            take: Function that returns the state there; it is called if the state is to be kept.
        """
        key = int(cell_keys(frame[None])[0])
        if key in self.cells:
            self.cells[key].score = score
            return
        if len(self.cells) >= self.capacity:
            least = min(self.cells, key=self.promise)
            if self.promise(least) >= score / max(self.visits[key], 1) ** 0.5:
                return
            del self.cells[least]
        self.cells[key] = _Cell(take(), score)

    def promise(self, key: int) -> float:
        """Return the score of a kept cell divided by the square root of its visits."""
        return self.cells[key].score / max(self.visits[key], 1) ** 0.5

    def draw(self) -> Any | None:
        """Return the state that promises most; None for the game's own start, by share or as there is no state yet."""
        if self._rng.random() >= self.share or not self.cells:
            return None
        return self.cells[max(self.cells, key=self.promise)].state
