"""Codes and their neighbours against plain numpy; the paper's claims about them on the trained model that ships."""

from collections import Counter

import numpy as np
import pytest
import torch

from genie_gym.metrics import psnr
from genie_gym.pipeline.studies import code_usage, largest_changes, neighbours, static_token, swapped_pictures
from genie_gym.pipeline.studies.codes import SWAPS
from genie_gym.pipeline.tokens import decode, encode
from tests.conftest import untrained


def test_neighbours_are_the_largest_and_the_smallest_cosine():
    codes = np.random.default_rng(0).normal(size=(40, 5))  # of any length
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    nearest, furthest = neighbours(torch.from_numpy(codes))
    for i in range(40):
        cosines = {j: float(unit[i] @ unit[j]) for j in range(40) if j != i}
        assert nearest[i] == max(cosines, key=cosines.__getitem__)
        assert furthest[i] == min(cosines, key=cosines.__getitem__)


def test_each_token_is_swapped_for_its_neighbour_but_the_kept_one():
    model = untrained().model
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 64, 64, 3), np.uint8)
    tokens = encode(model, frames)
    keep = int(np.bincount(tokens.ravel()).argmax())
    shown = swapped_pictures(model, frames, keep)
    assert tuple(shown) == SWAPS
    tables = (range(16), *neighbours(model.tokenizer.codebook.codes))
    for name, table in zip(SWAPS, tables, strict=True):
        by_hand = [int(token) if token == keep else int(table[token]) for token in tokens.flat]
        np.testing.assert_array_equal(shown[name], decode(model, np.array(by_hand).reshape(tokens.shape)))
    changed = swapped_pictures(model, frames)["nearest"]
    assert not np.array_equal(changed, shown["nearest"])  # without one to keep, that one is swapped too


def test_usage_counts_every_token():
    model = untrained().model
    model.tokenizer.codebook.usage[:5] = 0
    tokens = np.random.default_rng(0).integers(0, 7, (2, 3, 16))
    usage, counted = code_usage(model, tokens), Counter(tokens.flat)
    assert usage.counts.tolist() == [counted[code] for code in range(16)]
    assert (usage.used, usage.idle) == (7, 5)


def test_perplexity_is_the_number_of_codes_used_evenly():
    model = untrained().model
    assert code_usage(model, np.repeat([3, 8, 9, 15], 5)).perplexity == pytest.approx(4)
    assert code_usage(model, np.full(6, 2)).perplexity == pytest.approx(1)
    halves = code_usage(model, np.array([0, 0, 1, 2])).perplexity  # entropy of 1/2, 1/4, 1/4 is 1.5 bits
    assert halves == pytest.approx(2**1.5)


@pytest.mark.parametrize("apart", [1, 2])
def test_largest_changes_are_those_of_each_patch(apart):
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 8, 3), np.uint8)
    changes = largest_changes(frames, 4, apart)
    assert changes.shape == (2, 4 - apart, 4, 4)
    for b, t, y, x in np.ndindex(changes.shape):
        before, after = (frames[b, s, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(int) for s in (t, t + apart))
        assert changes[b, t, y, x] == np.abs(after - before).max()


def test_the_static_token_is_that_of_patches_that_do_not_change():
    frames = np.full((1, 3, 8, 8, 3), 100, np.uint8)  # four patches; the first one moves, by more than flicker
    frames[0, 1, 0, 0] += 60
    frames[0, :, 7, 7] = np.array([100, 104, 100])[:, None]
    tokens = np.array([[[5, 1, 2, 3], [6, 1, 1, 1], [6, 1, 1, 2]]])
    found = static_token(tokens, frames)
    assert found.token == 1
    assert found.still == 6 / 8
    assert found.share == 5 / 6 and found.moving_share == 0
    assert found.kept == 3 / 6 and found.moving_kept == 1 / 2


def test_where_all_moves_there_is_a_most_frequent_token_all_the_same():
    frames = np.zeros((1, 2, 4, 4, 3), np.uint8)
    frames[0, 1] = 90
    found = static_token(np.array([[[0, 0, 0, 0], [4, 4, 7, 4]]]), frames)
    assert (found.token, found.still, found.moving_share) == (4, 0, 0.75)
    assert np.isnan(found.share) and np.isnan(found.kept)


def test_nearest_codes_look_alike_and_furthest_do_not(shipped, real_play):
    """Figure 5, on real play."""
    shown = swapped_pictures(shipped.model, real_play.frames)
    seen, nearest, furthest = (psnr(shown[name], real_play.frames).mean() for name in SWAPS)
    assert seen > nearest > furthest + 15
