"""Several recordings of one game as one set of windows, each with its share of what is drawn."""

from collections.abc import Iterator, Sequence

import numpy as np

from genie_gym.data.clips import Batch, Clips
from genie_gym.errors import DataError

__all__ = ["JoinedClips"]


class JoinedClips:
    """The windows of several `Clips`, drawn and read as one of them is.

    Args:
        parts: windows of the same length, of recordings with the same actions.
        shares: how much of what is drawn comes from each, in any unit; as many windows as each has by default.

    Raises:
        DataError: there is no part, their lengths or actions differ, or the shares do not fit them.
    """

    def __init__(self, parts: Sequence[Clips], shares: Sequence[float] | None = None):
        self.parts = list(parts)
        _check_alike(self.parts)
        weights = np.array([len(part) for part in parts] if shares is None else shares, float)
        if weights.shape != (len(parts),) or not (weights >= 0).all() or not weights.sum() > 0:
            raise DataError(f"{len(parts)} recordings need as many shares, 0 or more and not all 0; got {shares}")
        self._shares = weights / weights.sum()
        self.length = parts[0].length

    def __len__(self) -> int:
        """The number of different windows."""
        return sum(len(part) for part in self.parts)

    def sample(self, rng: np.random.Generator, batch: int, length: int | None = None, overhang: int = 0) -> Batch:
        """As `Clips.sample`, each window from a part drawn by its share."""
        counts = rng.multinomial(batch, self._shares)
        drawn = [
            part.sample(rng, int(count), length, overhang)
            for part, count in zip(self.parts, counts, strict=True)
            if count
        ]
        return {key: np.concatenate([one[key] for one in drawn]) for key in drawn[0]}

    def in_order(self, batch: int) -> Iterator[Batch]:
        """As `Clips.in_order`, one part after the other; no batch holds windows of two."""
        for part in self.parts:
            yield from part.in_order(batch)


def _check_alike(parts: list[Clips]) -> None:
    if not parts:
        raise DataError("at least one recording is needed")
    for what, values in (
        ("window lengths", [part.length for part in parts]),
        ("actions", [tuple(part.recording.header["actions"]) for part in parts]),
    ):
        if len(set(values)) > 1:
            folders = ", ".join(str(part.recording.folder) for part in parts)
            raise DataError(f"recordings can be joined only with the same {what}, got {values} in {folders}")
