"""Random numbers that are a function of a rollout's seed and length so far: SplitMix64 (Steele et al. 2014).

A rollout needs no generator of its own: all rollouts of a batch are sampled in one operation, on any device and inside
a compiled step, and each gets the numbers that it would get alone.
"""

import torch
from torch import Tensor

__all__ = ["uniform"]


def _signed(value: int) -> int:
    """Return the int64 with the bits of an unsigned 64-bit number: torch multiplies int64 modulo 2^64."""
    return value - 2**64 if value >= 2**63 else value


GAMMA, FIRST, SECOND = (_signed(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def uniform(seeds: Tensor, counts: Tensor, number: int) -> Tensor:
    """Return numbers `counts * number` to `counts * number + number - 1` of each seed's sequence.

    Args:
        seeds: int64 (b,), of any values.
        counts: int64 (b,), number of such calls made before.
        number: Numbers to return for each seed.

    Returns:
        float32 (b, number), uniform in [0, 1).
    """
    index = counts[:, None] * number + torch.arange(1, number + 1, device=seeds.device)  # (b, number)
    z = seeds[:, None] + index * GAMMA
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    z = z ^ _shifted(z, 31)
    return _shifted(z, 40).float() * 2.0**-24  # the 24 highest bits: as many as a float32 holds exactly


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift the unsigned number with the same bits to the right."""
    return (z >> bits) & (2 ** (64 - bits) - 1)
