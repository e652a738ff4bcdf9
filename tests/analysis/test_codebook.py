"""Codes against plain numpy; the paper's claims about them on the shipped model."""

from collections import Counter

import numpy as np
import pytest
import torch

from genie_gym.analysis.codebook import (
    code_usage,
    nearest_and_furthest_codes,
    patch_changes,
    reconstructions_with_swapped_codes,
    static_token,
)
from genie_gym.metrics.image import psnr
from genie_gym.world_model.batched import decode_clips, encode_clips
from tests.conftest import untrained


def test_nearest_and_furthest_are_the_largest_and_the_smallest_cosine():
    codes = np.random.default_rng(0).normal(size=(40, 5))  # of any length
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    nearest, furthest = nearest_and_furthest_codes(torch.from_numpy(codes))
    for i in range(40):
        cosines = {j: float(unit[i] @ unit[j]) for j in range(40) if j != i}
        assert nearest[i] == max(cosines, key=cosines.__getitem__)
        assert furthest[i] == min(cosines, key=cosines.__getitem__)


def test_every_token_is_swapped_but_the_kept_one():
    model = untrained().model
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 64, 64, 3), np.uint8)
    tokens = encode_clips(model, frames)
    keep = int(np.bincount(tokens.ravel()).argmax())
    shown = reconstructions_with_swapped_codes(model, frames, keep)
    tables = (range(16), *nearest_and_furthest_codes(model.tokenizer.codebook.codes))
    for name, table in zip(("reconstruction", "nearest", "furthest"), tables, strict=True):
        by_hand = [int(token) if token == keep else int(table[token]) for token in tokens.flat]
        np.testing.assert_array_equal(
            getattr(shown, name), decode_clips(model, np.array(by_hand).reshape(tokens.shape))
        )
    changed = reconstructions_with_swapped_codes(model, frames).nearest
    assert not np.array_equal(changed, shown.nearest)  # without one to keep, that one is swapped too


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


@pytest.mark.parametrize("offset", [1, 2])
def test_a_patch_changes_as_much_as_its_most_changed_pixel(offset):
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 8, 3), np.uint8)
    changes = patch_changes(frames, 4, offset)
    assert changes.shape == (2, 4 - offset, 4, 4)
    for b, t, y, x in np.ndindex(changes.shape):
        before, after = (frames[b, s, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(int) for s in (t, t + offset))
        assert changes[b, t, y, x] == np.abs(after - before).max()


def test_the_static_token_is_that_of_patches_that_do_not_change():
    frames = np.full((1, 3, 8, 8, 3), 100, np.uint8)  # four patches; the first one moves, by more than flicker
    frames[0, 1, 0, 0] += 60
    frames[0, :, 7, 7] = np.array([100, 104, 100])[:, None]
    tokens = np.array([[[5, 1, 2, 3], [6, 1, 1, 1], [6, 1, 1, 2]]])
    found = static_token(tokens, frames)
    assert found.token == 1
    assert found.static == 6 / 8
    assert found.share_of_static == 5 / 6 and found.share_of_moving == 0
    assert found.kept_static == 3 / 6 and found.kept_moving == 1 / 2


def test_if_all_patches_move_the_most_frequent_token_counts():
    frames = np.zeros((1, 2, 4, 4, 3), np.uint8)
    frames[0, 1] = 90
    found = static_token(np.array([[[0, 0, 0, 0], [4, 4, 7, 4]]]), frames)
    assert (found.token, found.static, found.share_of_moving) == (4, 0, 0.75)
    assert np.isnan(found.share_of_static) and np.isnan(found.kept_static)


def test_nearest_codes_look_alike_and_furthest_do_not(shipped, real_clips):
    """Figure 5, on real clips."""
    shown = reconstructions_with_swapped_codes(shipped.model, real_clips.frames)
    kinds = (shown.reconstruction, shown.nearest, shown.furthest)
    reconstruction, nearest, furthest = (psnr(frames, real_clips.frames).mean() for frames in kinds)
    assert reconstruction > nearest > furthest + 15
