"""Entropies and their top quarter, against the paper's equations in numpy."""

import numpy as np
import pytest
import torch

from genie_gym.models.uncertainty import token_entropy, top_mean
from tests.conftest import reward_by_numpy


def test_entropy_lies_between_certain_and_anything():
    certain, even = torch.full((3, 8), -200.0), torch.zeros(3, 8)
    certain[:, 2] = 200.0
    assert token_entropy(certain).tolist() == [0, 0, 0]
    assert token_entropy(even).numpy() == pytest.approx(2)
    two = torch.full((8,), -1e9)
    two[[1, 5]] = 0.0
    assert float(token_entropy(two)) == pytest.approx(2 * np.log(2) / np.log(8))


@pytest.mark.parametrize("n", [1, 4, 5, 16, 64, 256])
@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.75, 0.9, 1.0])
def test_entropy_and_top_mean_are_the_papers_equations(n, quantile):
    logits = np.random.default_rng(n).normal(0, 3, (7, n, 32)).astype(np.float32)
    got = top_mean(token_entropy(torch.from_numpy(logits)), quantile)
    np.testing.assert_allclose(got.numpy(), reward_by_numpy(logits, quantile), rtol=1e-5)
