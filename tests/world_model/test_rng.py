"""Noise by counting, against SplitMix64 in Python's whole numbers, and against what uniform numbers must be."""

import numpy as np
import torch

from genie_gym.world_model.rng import uniform

WORD = 2**64 - 1


def splitmix64(seed: int, place: int) -> int:
    """The place-th output (from 1) of the published generator, as its C code has it."""
    z = (seed + place * 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_it_is_splitmix64():
    assert splitmix64(1234567, 1) == 6457827717110365317  # published test vector of the generator
    seeds, counts = torch.tensor([1234567, 0, -5, 2**63 - 1]), torch.tensor([0, 3, 7, 1])
    drawn = uniform(seeds, counts, 10)
    for row, seed, count in zip(drawn, seeds.tolist(), counts.tolist(), strict=True):
        expected = [(splitmix64(seed & WORD, count * 10 + i) >> 40) / 2**24 for i in range(1, 11)]
        assert row.tolist() == expected


def test_numbers_are_uniform_and_unrelated():
    drawn = uniform(torch.arange(100), torch.zeros(100, dtype=torch.int64), 1000).numpy()
    assert drawn.min() >= 0 and drawn.max() < 1
    counts, _ = np.histogram(drawn, 50, (0, 1))
    chi_squared = ((counts - 2000) ** 2 / 2000).sum()
    assert chi_squared < 86  # 49 degrees of freedom: exceeded once in a thousand
    across = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    along = np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]
    assert abs(across) < 0.01 and abs(along) < 0.01  # three standard errors


def test_a_row_does_not_depend_on_the_others():
    seeds, counts = torch.tensor([5, 6, 7]), torch.tensor([0, 1, 2])
    together = uniform(seeds, counts, 4)
    assert all(torch.equal(together[i], uniform(seeds[i : i + 1], counts[i : i + 1], 4)[0]) for i in range(3))
