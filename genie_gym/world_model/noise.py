"""Random numbers that are a function of a dream's seed and of how far it has come: SplitMix64 (Steele et al. 2014).

A dream needs no generator of its own: all dreams of a batch draw at once, on any device and inside a compiled step,
and each draws what it would have drawn alone.
"""

import torch
from torch import Tensor

__all__ = ["uniform"]


def _signed(value: int) -> int:
    """The int64 of the same bits as an unsigned 64-bit number: torch multiplies int64, modulo 2^64."""
    return value - 2**64 if value >= 2**63 else value


GAMMA, FIRST, SECOND = (_signed(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def uniform(seeds: Tensor, counts: Tensor, number: int) -> Tensor:
    """Numbers `counts * number` to `counts * number + number - 1` of each seed's sequence.

    Args:
        seeds: int64 (b,), any.
        counts: int64 (b,), how many such draws were made before.
        number: numbers to draw.

    Returns:
        float32 (b, number), uniform in [0, 1).
    """
    place = counts[:, None] * number + torch.arange(1, number + 1, device=seeds.device)  # (b, number)
    z = seeds[:, None] + place * GAMMA
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    z = z ^ _shifted(z, 31)
    return _shifted(z, 40).float() * 2.0**-24  # the 24 highest bits: as many as a float32 holds exactly


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shifts the unsigned number of the same bits to the right."""
    return (z >> bits) & (2 ** (64 - bits) - 1)
