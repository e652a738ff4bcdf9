"""Several datasets with the same actions as a single set of windows, sampled with given weights."""

from collections.abc import Iterator, Sequence

import numpy as np

from genie_gym.data.sequences import Batch, SequenceDataset
from genie_gym.errors import DataError

__all__ = ["MixtureDataset"]


class MixtureDataset:
    """The windows of several `SequenceDataset`, with the same interface.

    Args:
        parts: Sets of windows of the same length, from datasets with the same actions.
        weights: How often each part is sampled, in any unit; in proportion to its number of windows by default.
        names: Names of the parts, such as those of the games that they are of; without them, the parts are one.

    Raises:
        DataError: There is no part, lengths or actions differ, or the weights or names do not match the parts.
    """

    def __init__(
        self,
        parts: Sequence[SequenceDataset],
        weights: Sequence[float] | None = None,
        names: Sequence[str] | None = None,
    ):
        self.parts, self._names = list(parts), names
        if names is not None and len(set(names)) != len(parts):
            raise DataError(f"{len(parts)} datasets need as many different names; got {', '.join(names)}")
        _check_alike(self.parts)
        values = np.array([len(part) for part in parts] if weights is None else weights, float)
        if values.shape != (len(parts),) or not (values >= 0).all() or not values.sum() > 0:
            raise DataError(f"{len(parts)} datasets need as many weights, 0 or more and not all 0; got {weights}")
        self._probabilities = values / values.sum()
        self.length = parts[0].length

    def __len__(self) -> int:
        """Return the number of different windows."""
        return sum(len(part) for part in self.parts)

    def named_parts(self) -> "dict[str, MixtureDataset | SequenceDataset]":
        """Return the parts by name; all together by the name "" if they have none."""
        return {"": self} if self._names is None else dict(zip(self._names, self.parts, strict=True))

    def sample(
        self, rng: np.random.Generator, batch: int, length: int | None = None, overhang: int = 0, group: int = 1
    ) -> Batch:
        """Sample windows as `SequenceDataset.sample` does, from parts drawn by weight.

        Args:
            rng, batch, length, overhang: As in `SequenceDataset.sample`; the batch is a multiple of `group`.
            group: Number of windows in a row that come from the same part.
        """
        counts = group * rng.multinomial(batch // group, self._probabilities)
        drawn = [
            part.sample(rng, int(count), length, overhang)
            for part, count in zip(self.parts, counts, strict=True)
            if count
        ]
        return {key: np.concatenate([one[key] for one in drawn]) for key in drawn[0]}

    def in_order(self, batch: int, at_most: int | None = None) -> Iterator[Batch]:
        """Iterate as `SequenceDataset.in_order` does, one part after the other; no batch mixes two parts.

        Args:
            batch: Number of windows in a batch.
            at_most: Number of windows in all, as many of each part; all by default.
        """
        share = None if at_most is None else max(at_most // len(self.parts), 1)
        for part in self.parts:
            yield from part.in_order(batch, share)


def _check_alike(parts: list[SequenceDataset]) -> None:
    if not parts:
        raise DataError("at least one dataset is needed")
    for what, values in (
        ("window lengths", [part.length for part in parts]),
        ("actions", [tuple(part.dataset.header["actions"]) for part in parts]),
    ):
        if len(set(values)) > 1:
            folders = ", ".join(str(part.dataset.folder) for part in parts)
            raise DataError(f"datasets can be joined only with the same {what}, got {values} in {folders}")
