"""Pairs of frames at low and high resolution, for an upscaler."""

from collections.abc import Iterator, Sequence

import numpy as np

from genie_gym.data.dataset import EpisodeDataset
from genie_gym.errors import DataError

__all__ = ["FramePairs"]

Pair = tuple[np.ndarray, np.ndarray]


class FramePairs:
    """All frames of the chosen episodes that have high-resolution frames as well.

    A batch of pairs is two arrays: uint8 (b, side, side, 3) and uint8 (b, scale * side, scale * side, 3).

    Args:
        dataset: The episodes.
        indices: Indices of the episodes to use (one side of `split`); all by default. Episodes without high-resolution
            frames are ignored.

    Attributes:
        dataset: The episodes.
        num_episodes: Number of episodes that have high-resolution frames.
        side: Side of a low-resolution frame in pixels.
        scale: Ratio of the two resolutions.

    Raises:
        DataError: None of the episodes has high-resolution frames.
    """

    def __init__(self, dataset: EpisodeDataset, indices: Sequence[int] | np.ndarray | None = None):
        self.dataset = dataset
        chosen = range(len(dataset)) if indices is None else [int(index) for index in indices]
        self._indices = [index for index in chosen if dataset.has_high_res(index)]
        if not self._indices:
            game = dataset.header["game"].get("name", "GAME")
            raise DataError(
                f"none of {len(chosen)} episode(s) in {dataset.folder} has high-resolution frames, which an upscaler "
                f"learns from; record some with: genie-gym collect {game} --high-res"
            )
        self.num_episodes = len(self._indices)
        self._ends = np.cumsum(dataset.lengths[self._indices])
        low, high = self._read(0)
        self.side, self.scale = len(low), len(high) // len(low)

    def __len__(self) -> int:
        """Return the number of frames."""
        return int(self._ends[-1])

    def sample(self, rng: np.random.Generator, batch: int, crop: int | None = None) -> Pair:
        """Sample `batch` frames uniformly, and the same random crop of both resolutions.

        Args:
            rng: Source of randomness.
            batch: Number of pairs.
            crop: Side of the crop in pixels of the low resolution; whole frames by default.
        """
        side = min(crop or self.side, self.side)
        pairs = []
        for number in rng.integers(len(self), size=batch).tolist():
            top, left = rng.integers(self.side - side + 1, size=2).tolist()
            low, high = self._read(number)
            k = self.scale
            part = np.s_[k * top : k * (top + side), k * left : k * (left + side)]
            pairs.append((low[top : top + side, left : left + side], high[part]))
        return _stack(pairs)

    def evenly(self, count: int, batch: int) -> Iterator[Pair]:
        """Iterate over at most `count` evenly spaced whole frames in batches; the same each time."""
        numbers = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int).tolist()
        for start in range(0, len(numbers), batch):
            yield _stack([self._read(number) for number in numbers[start : start + batch]])

    def _read(self, number: int) -> Pair:
        """Return one frame by its number over all chosen episodes."""
        episode = int(np.searchsorted(self._ends, number, side="right"))
        index = self._indices[episode]
        t = number - int(self._ends[episode] - self.dataset.lengths[index])
        return self.dataset.frames(index, t, t + 1)[0], self.dataset.high_res(index, t, t + 1)[0]


def _stack(pairs: list[Pair]) -> Pair:
    lows, highs = zip(*pairs, strict=True)
    return np.stack(lows), np.stack(highs)
