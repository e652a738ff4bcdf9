"""Dividing a recording into training and held-out episodes; always by episode, never by frame."""

import hashlib
from collections.abc import Sequence

import numpy as np

from genie_gym.data.recording import Recording
from genie_gym.errors import DataError

__all__ = ["split"]


def split(
    recording: Recording, held_out: float = 0.1, seed: int = 0, among: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses by a hash of each episode's id, so an episode stays on its side when more are recorded.

    Args:
        held_out: the share held out, between 0 and 1; met on average, and each side gets at least one episode where
            there are two or more.
        seed: another seed gives another choice.
        among: indices of the episodes to divide, ascending; all by default.

    Returns:
        int64 indices into the recording, ascending: (training, held out).

    Raises:
        DataError: `held_out` lies outside [0, 1].
    """
    if not 0 <= held_out <= 1:
        raise DataError(f"held_out must lie between 0 and 1, got {held_out}")
    chosen = np.arange(len(recording.ids)) if among is None else np.asarray(among, np.int64)
    draws = np.array([_draw(recording.ids[index], seed) for index in chosen])
    out = draws < held_out
    if len(draws) >= 2:  # the extremes change sides, which later episodes disturb least
        out[draws.argmin()] = True
        out[draws.argmax()] = False
    return chosen[~out], chosen[out]


def _draw(name: str, seed: int) -> float:
    """A number in [0, 1) that depends on the id and the seed only."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
