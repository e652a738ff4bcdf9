"""Splitting a dataset into training and held-out episodes; always by episode, never by frame."""

import hashlib
from collections.abc import Sequence

import numpy as np

from genie_gym.data.dataset import EpisodeDataset
from genie_gym.errors import DataError

__all__ = ["split"]


def split(
    dataset: EpisodeDataset, held_out: float = 0.1, seed: int = 0, among: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split the episodes by a hash of their ids, so that an episode stays on its side when more are collected.

    Args:
        dataset: The episodes.
        held_out: Share of episodes to hold out, from 0 to 1; met on average. Each side gets at least one episode if
            there are two or more.
        seed: Random seed of the split.
        among: Indices of the episodes to split, ascending; all by default.

    Returns:
        Ascending int64 indices of the training episodes and of the held-out episodes.

    Raises:
        DataError: `held_out` is out of range.
    """
    if not 0 <= held_out <= 1:
        raise DataError(f"held_out must lie between 0 and 1, got {held_out}")
    chosen = np.arange(len(dataset.ids)) if among is None else np.asarray(among, np.int64)
    draws = np.array([_draw(dataset.ids[index], seed) for index in chosen])
    out = draws < held_out
    if len(draws) >= 2:  # the extremes change sides, which later episodes disturb least
        out[draws.argmin()] = True
        out[draws.argmax()] = False
    return chosen[~out], chosen[out]


def _draw(name: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on the id and the seed only."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
