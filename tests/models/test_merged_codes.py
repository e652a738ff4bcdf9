"""Codes that say the same are merged: which stay, and that nothing is encoded as the others, nor predicted."""

import numpy as np
import pytest
import torch

from genie_gym.models.codebook import EuclideanCodebook
from genie_gym.models.conv.dynamics import ConvDynamics, ConvDynamicsConfig
from genie_gym.models.conv.tokenizer import ConvTokenizer, ConvTokenizerConfig


@pytest.fixture
def book() -> EuclideanCodebook:
    """Forty codes around eight places, of which some are used far more than others."""
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.normal(size=(8, 6)), 5, 0) + 0.03 * rng.normal(size=(40, 6))
    book = EuclideanCodebook(40, 6)
    book.codes.copy_(torch.from_numpy(codes))
    book.usage.copy_(torch.from_numpy(rng.permutation(40) + 1.0))
    return book.eval()


def test_the_most_used_code_of_each_place_stays(book):
    usage = book.usage.clone()
    book.merge(0.5)
    kept = (book.usage > 0).nonzero().flatten().numpy()
    assert kept.tolist() == sorted(place * 5 + usage.view(8, 5)[place].argmax().item() for place in range(8))
    book.merge(0.5)  # again changes nothing
    assert (book.usage > 0).nonzero().flatten().tolist() == kept.tolist()


@pytest.mark.parametrize("closest", [0.02, 0.08, 0.3, 1.5])
def test_what_stays_is_apart_and_what_goes_is_close_to_what_is_used_more(book, closest):
    codes, usage = book.codes.double().numpy(), book.usage.numpy().copy()
    book.merge(closest)
    distance = np.linalg.norm(codes[:, None] - codes, axis=-1)
    kept = book.usage.numpy() > 0
    assert (distance[np.ix_(kept, kept)] + 9 * np.eye(kept.sum()) >= closest).all()
    for gone in np.flatnonzero(~kept):
        assert ((distance[gone] < closest) & kept & (usage > usage[gone])).any()


def test_encodings_go_to_the_nearest_code_that_stays(book):
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(1))
    book.merge(0.5)
    kept = np.flatnonzero(book.usage.numpy() > 0)
    distance = np.linalg.norm(x.double().numpy()[:, None] - book.codes.double().numpy()[kept], axis=-1)
    assert book.nearest(x).tolist() == kept[distance.argmin(1)].tolist()


def test_merged_codes_are_never_predicted():
    torch.manual_seed(0)
    tokenizer = ConvTokenizer(ConvTokenizerConfig(size=32, codes=32, encoder_width=8, width=8, fine_width=8, blocks=1))
    tokenizer.prepare(torch.rand(2, 3, 32, 32)[torch.arange(40) % 2])  # 128 patches for 32 codes
    tokenizer.codebook.codes[20:] = tokenizer.codebook.codes[:12] + 0.01
    tokenizer.merge_codes()
    dynamics = ConvDynamics(ConvDynamicsConfig(2, codes=32, side=8, dim=16, coarse_dim=16, coarse_blocks=1, shifts=2))
    dynamics.adopt_codebook(tokenizer)
    gone = tokenizer.codebook.usage == 0
    assert 12 <= gone.sum() < 32 and (dynamics.bias[~gone] == 0).all()
    logits = dynamics.to_logits(torch.randn(3, 64, 16 + 48))
    assert logits.softmax(-1)[..., gone].sum(-1).max() < 1e-6
