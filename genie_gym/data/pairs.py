"""Frames beside finer pictures of themselves, for an upscaler: at random to train on, evenly spaced to validate."""

from collections.abc import Iterator, Sequence

import numpy as np

from genie_gym.data.recording import Recording
from genie_gym.errors import DataError

__all__ = ["Pairs"]

Pair = tuple[np.ndarray, np.ndarray]


class Pairs:
    """All frames of the chosen episodes that were recorded with large frames too.

    Args:
        recording: where the episodes come from.
        indices: the episodes to use (one side of `split`); all by default. Those without large frames are left out.

    Attributes:
        side: of a frame in pixels.
        scale: how many times as high and wide the large frames are.

    Raises:
        DataError: none of the episodes has large frames.

    Pairs are two arrays: uint8 (b, side, side, 3) and uint8 (b, scale side, scale side, 3).
    """

    def __init__(self, recording: Recording, indices: Sequence[int] | np.ndarray | None = None):
        self.recording = recording
        chosen = range(len(recording)) if indices is None else [int(index) for index in indices]
        self._indices = [index for index in chosen if recording.has_large(index)]
        if not self._indices:
            game = recording.header["game"].get("name", "GAME")
            raise DataError(
                f"none of {len(chosen)} episode(s) in {recording.folder} has large frames, which an upscaler learns "
                f"from; record some with: genie-gym collect {game} --large"
            )
        self._ends = np.cumsum(recording.lengths[self._indices])
        low, high = self._read(0)
        self.side, self.scale = len(low), len(high) // len(low)

    def __len__(self) -> int:
        """The number of frames."""
        return int(self._ends[-1])

    @property
    def episodes(self) -> int:
        """The number of episodes they come from."""
        return len(self._indices)

    def sample(self, rng: np.random.Generator, batch: int, crop: int | None = None) -> Pair:
        """Draws `batch` frames, each of all equally likely, and of each the same piece in both sizes.

        Args:
            crop: side of the piece in pixels of the smaller picture; whole frames by default.
        """
        side = min(crop or self.side, self.side)
        pairs = []
        for place in rng.integers(len(self), size=batch).tolist():
            top, left = rng.integers(self.side - side + 1, size=2).tolist()
            low, high = self._read(place)
            k = self.scale
            part = np.s_[k * top : k * (top + side), k * left : k * (left + side)]
            pairs.append((low[top : top + side, left : left + side], high[part]))
        return _stack(pairs)

    def evenly(self, count: int, batch: int) -> Iterator[Pair]:
        """At most `count` whole frames, evenly spaced over all, in batches; the same each time."""
        places = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int).tolist()
        for start in range(0, len(places), batch):
            yield _stack([self._read(place) for place in places[start : start + batch]])

    def _read(self, place: int) -> Pair:
        """Frame number `place` of all."""
        episode = int(np.searchsorted(self._ends, place, side="right"))
        index = self._indices[episode]
        t = place - int(self._ends[episode] - self.recording.lengths[index])
        return self.recording.frames(index, t, t + 1)[0], self.recording.large(index, t, t + 1)[0]


def _stack(pairs: list[Pair]) -> Pair:
    lows, highs = zip(*pairs, strict=True)
    return np.stack(lows), np.stack(highs)
