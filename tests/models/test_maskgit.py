"""The sampling schedule, which tokens settle, and the distributions tokens and masks are drawn from."""

import itertools

import numpy as np
import pytest
import torch

from genie_gym.models.maskgit import confidence, num_masked_after, random_masks, sample_tokens, unmask


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("tokens", [1, 16, 64, 256])
def test_schedule_is_the_cosine(steps, tokens):
    left = [num_masked_after(i, steps, tokens) for i in range(steps)]
    shares = np.cos(np.pi / 2 * np.arange(1, steps + 1) / steps)
    assert all(abs(a - tokens * b) < 1 + 1e-6 and a <= tokens * b + 1e-6 for a, b in zip(left, shares, strict=True))
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)


def test_exact_thirds_are_not_lost_to_rounding():
    assert num_masked_after(1, 3, 64) == 32  # 64 cos(60 degrees), which floating point puts a hair below or above


def test_settle_keeps_the_least_certain_hidden():
    rng = np.random.default_rng(0)
    for keep, _ in itertools.product(range(7), range(20)):
        priority, masked = rng.permutation(6 * 3).reshape(3, 6) / 18, rng.random((3, 6)) < 0.6
        after = unmask(torch.from_numpy(priority), torch.from_numpy(masked), keep).numpy()
        for p, before, got in zip(priority, masked, after, strict=True):
            lowest = sorted(np.flatnonzero(before), key=lambda i: p[i])[:keep]
            assert set(np.flatnonzero(got)) == set(lowest)


def frequencies(logits: torch.Tensor, draws: int, temperature: float, min_p: float = 0.0) -> np.ndarray:
    uniform = torch.rand(draws, generator=torch.Generator().manual_seed(0))
    codes = sample_tokens(logits.expand(draws, -1), uniform, temperature, min_p)
    return np.bincount(codes.numpy(), minlength=logits.shape[-1])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_codes_are_drawn_as_often_as_the_softmax_says(temperature):
    logits = np.array([0.0, 1.0, -1.0, 2.0, -3.0, 0.5])
    p, draws = softmax(logits / temperature), 20_000
    counts = frequencies(torch.from_numpy(logits), draws, temperature)
    assert (np.abs(counts - draws * p) < 4.5 * np.sqrt(draws * p * (1 - p)) + 1).all()


def test_floor_forbids_unlikely_codes_and_keeps_the_others_odds():
    p = np.array([0.5, 0.3, 0.04, 0.1, 0.06])
    counts, draws = frequencies(torch.from_numpy(p).log(), 20_000, 1.0, min_p=0.15), 20_000  # below 0.075
    assert (counts[[2, 4]] == 0).all()
    q = p[[0, 1, 3]] / p[[0, 1, 3]].sum()
    assert (np.abs(counts[[0, 1, 3]] - draws * q) < 4.5 * np.sqrt(draws * q * (1 - q))).all()


def test_the_largest_and_smallest_noise_draw_codes_above_the_floor():
    logits = torch.randn(500, 64, generator=torch.Generator().manual_seed(1))
    for noise in (0.0, 1 - 2**-24):
        codes = sample_tokens(logits, torch.full((500,), noise), 1.0, min_p=0.2)
        drawn = logits.softmax(-1).gather(-1, codes[:, None])[:, 0]
        assert (drawn >= 0.2 * logits.softmax(-1).amax(-1) - 1e-6).all()


@pytest.mark.parametrize("temperature", [0.3, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.5, 1 - 2**-24])
def test_codes_that_are_impossible_are_never_drawn_and_logits_stay_as_they_are(temperature, noise):
    logits = torch.full((50, 64), -float("inf"))
    logits[:, 10:20] = torch.randn(50, 10, generator=torch.Generator().manual_seed(5))
    logits[:, 15] -= 1000.0  # finite, but nothing beside the others
    before = logits.clone()
    codes = sample_tokens(logits, torch.full((50,), noise), temperature)
    assert ((codes >= 10) & (codes < 20) & (codes != 15)).all()
    assert torch.equal(logits, before)


def test_temperature_zero_takes_the_likeliest_whatever_the_noise():
    logits = torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(2))
    for noise in (torch.zeros(4, 9), torch.full((4, 9), 0.999)):
        np.testing.assert_array_equal(sample_tokens(logits, noise, 0).numpy(), logits.numpy().argmax(-1))


def test_confidence_is_the_models_own_probability():
    logits, codes = torch.randn(100, 16, generator=torch.Generator().manual_seed(3)), torch.arange(100) % 16
    expected = np.apply_along_axis(softmax, -1, logits.numpy())[np.arange(100), codes.numpy()]
    np.testing.assert_allclose(confidence(logits, codes), expected, rtol=1e-5)


def test_masks_hide_two_thirds_on_average_at_a_rate_for_each_frame():
    torch.manual_seed(0)
    masks = random_masks((200, 10), 64).numpy()
    assert masks.shape == (200, 10, 64)
    shares = masks.mean(-1)
    # u uniform: E[cos(pi u / 2)] = 2 / pi, E[cos^2] = 1 / 2; 2,000 independent rates
    assert shares.mean() == pytest.approx(2 / np.pi, abs=4 * 0.31 / np.sqrt(2000))
    assert shares.std() == pytest.approx(np.sqrt(0.5 - 4 / np.pi**2), abs=0.02)


def test_so_many_frames_are_hidden_whole():
    torch.manual_seed(0)
    assert random_masks((100,), 16, full=1.0).all()
    whole = random_masks((4000,), 256, full=0.3).all(-1).float().mean().item()
    by_chance = random_masks((4000,), 256).all(-1).float().mean().item()
    assert whole == pytest.approx(0.3 + 0.7 * by_chance, abs=0.04)
