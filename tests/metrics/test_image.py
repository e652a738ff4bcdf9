"""Metrics against closed forms, plain numpy and other libraries' implementations."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torchmetrics.functional.clustering import normalized_mutual_info_score
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.functional.regression import mean_squared_error

from genie_gym.metrics.image import frechet_distance, moving_pixels, moving_psnr, mse, psnr, ssim
from genie_gym.metrics.latent_actions import count_pairs, mutual_information, one_to_one_accuracy, perplexity


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
    return np.clip(real.astype(int) + rng.integers(-30, 31, real.shape), 0, 255).astype(np.uint8), real


def test_psnr_is_that_of_torchmetrics_for_each_frame(pair):
    predicted, real = pair
    ours = psnr(predicted, real)
    assert ours.shape == (2, 3)
    for i in np.ndindex(2, 3):
        a, b = (torch.from_numpy(x[i]).float() for x in pair)
        assert ours[i] == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255.0).item(), abs=1e-4)


def test_psnr_of_a_constant_error_and_its_ceiling():
    black = np.zeros((8, 8, 3), np.uint8)
    assert psnr(black + 51, black) == pytest.approx(20 * np.log10(5))  # 255 / 51 = 5
    assert psnr(black, black + 51) == psnr(black + 51, black)  # uint8 differences do not wrap around
    assert psnr(black, black) == pytest.approx(60)


def clip_with_a_walker() -> np.ndarray:
    """Five grey frames in which one bright pixel walks to the right along row 2."""
    clip = np.full((5, 6, 6, 3), 100, np.uint8)
    for t in range(5):
        clip[t, 2, t] = 200
    return clip


def test_moving_pixels_are_the_walker_in_each_frame():
    moving = moving_pixels(clip_with_a_walker())
    assert moving.shape == (5, 6, 6)
    assert [tuple(place) for place in np.argwhere(moving)] == [(t, 2, t) for t in range(5)]


def test_moving_pixels_are_off_the_median_by_more_than_the_threshold_in_any_colour():
    clip = np.full((5, 2, 2, 3), 100, np.uint8)
    clip[1, 0, 0, 2] = 106
    clip[2, 0, 1, 2] = 105
    assert np.argwhere(moving_pixels(clip)).tolist() == [[1, 0, 0]]
    assert np.argwhere(moving_pixels(clip, threshold=4)).tolist() == [[1, 0, 0], [2, 0, 1]]


def test_clips_of_a_batch_have_a_median_each():
    clip = clip_with_a_walker()
    both = np.stack([clip, 255 - clip])
    np.testing.assert_array_equal(moving_pixels(both), np.stack([moving_pixels(clip)] * 2))


def test_a_vanished_walker_costs_little_in_the_whole_frame_and_all_over_moving_pixels():
    real = clip_with_a_walker()
    blank = np.full_like(real, 100)
    moving = moving_pixels(real)
    assert moving_psnr(blank, real, moving) == pytest.approx(20 * np.log10(255 / 100))
    # one pixel in 36 is wrong
    assert psnr(blank, real) == pytest.approx(20 * np.log10(255 / 100) + 10 * np.log10(36))


def test_mse_is_that_of_torchmetrics_over_the_chosen_pixels(pair):
    predicted, real = pair
    where = np.random.default_rng(1).random(real.shape[:-1]) < 0.3
    for chosen in (np.ones_like(where), where):
        expected = mean_squared_error(*(torch.from_numpy(x[chosen].astype(np.float64)) for x in pair)).item()
        assert mse(predicted, real, chosen) == pytest.approx(expected)
    assert mse(predicted, real) == mse(predicted, real, np.ones_like(where))
    assert np.isnan(mse(predicted, real, np.zeros_like(where)))


def test_moving_psnr_pools_the_error_before_the_logarithm():
    real = np.zeros((2, 1, 4, 3), np.uint8)
    shown = real.copy()
    shown[0, 0, :2], shown[1, 0, 0] = 30, 60  # errors 30, 30 and 60, and a perfect pixel beside them
    moving = np.array([[[True, True, False, False]], [[True, True, False, False]]])
    expected = 10 * np.log10(255**2 / ((30**2 + 30**2 + 60**2 + 0) / 4))
    assert moving_psnr(shown, real, moving) == pytest.approx(expected)
    assert np.isnan(moving_psnr(shown, real, np.zeros_like(moving)))


def gaussian_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004, written out: windows of 11 x 11, sigma 1.5, around every pixel of the picture mirrored."""
    a, b = (np.pad(z, ((5, 5), (5, 5), (0, 0)), "reflect") for z in (a, b))
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            for k in range(3):
                p, q = (z[y : y + 11, x : x + 11, k] / 255.0 for z in (a, b))
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                both = (window * (p - mp) * (q - mq)).sum()
                c1, c2 = 0.01**2, 0.03**2
                values.append((2 * mp * mq + c1) * (2 * both + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(values))


def test_ssim_is_the_published_formula(pair):
    a, b = pair[0][0, 0], pair[1][0, 0]
    assert ssim(a[None], b[None]) == pytest.approx(gaussian_ssim(a, b), abs=1e-4)
    assert ssim(a[None], a[None]) == pytest.approx(1)


def test_frechet_distance_of_gaussians_on_one_axis():
    # samples with exactly these means and (unbiased) variances; (m1 - m2)^2 + (s1 - s2)^2
    a = np.array([[-1.0], [0.0], [1.0]]) * 2 + 3  # mean 3, deviation 2
    b = np.array([[-1.0], [0.0], [1.0]]) * 5 - 1  # mean -1, deviation 5
    assert frechet_distance(np.hstack([a, a * 0]), np.hstack([b, b * 0])) == pytest.approx(16 + 9)


def test_frechet_distance_of_correlated_gaussians_is_the_formula_by_symmetric_roots():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)) + 1

    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    first, second = np.cov(a.T), np.cov(b.T)
    cross = root(root(first) @ second @ root(first))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * cross)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_survives_more_features_than_samples():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(10, 40))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, np.zeros((1000, 40))) == pytest.approx(
        np.square(a.mean(0)).sum() + a.var(0, ddof=1).sum()
    )


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    """Five actions, and six codes that know half of them; code 4 never happens."""
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 5, (20, 30))
    codes = np.where(rng.random(actions.shape) < 0.5, (actions + 2) % 5, rng.integers(0, 6, actions.shape))
    return np.where(codes == 4, 5, codes), actions


def test_pairs_are_counted(labels):
    codes, actions = labels
    counts, pairs = count_pairs(codes, actions), list(zip(codes.flat, actions.flat, strict=True))
    assert counts.shape == (6, 5) and counts.dtype == np.int64
    for code, action in np.ndindex(6, 5):
        assert counts[code, action] == pairs.count((code, action))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_mutual_information_is_that_of_torchmetrics(labels):
    codes, actions = labels
    expected = normalized_mutual_info_score(*(torch.from_numpy(x.ravel()) for x in labels)).item()
    assert 0.1 < expected < 0.9
    assert mutual_information(count_pairs(codes, actions)) == pytest.approx(expected, abs=1e-5)
    assert mutual_information(count_pairs(codes, actions).T) == pytest.approx(expected, abs=1e-5)


def test_mutual_information_of_equals_independents_and_constants():
    assert mutual_information(np.diag([3, 5, 7])[[2, 0, 1]]) == pytest.approx(1)
    assert mutual_information(np.outer([1, 2], [3, 1, 4])) == pytest.approx(0, abs=1e-12)
    assert mutual_information(np.array([[4, 6]])) == pytest.approx(0, abs=1e-12)  # one code for all actions
    assert np.isnan(mutual_information(np.array([[7]])))


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 5)])
def test_one_to_one_accuracy_is_the_best_of_all_maps(shape):
    counts = np.random.default_rng(1).integers(0, 50, shape)
    fewer = counts if shape[0] <= shape[1] else counts.T
    maps = permutations(range(max(shape)), min(shape))
    best = max(sum(fewer[i, j] for i, j in enumerate(chosen)) for chosen in maps)
    assert one_to_one_accuracy(counts) == pytest.approx(best / counts.sum())


def test_a_greedy_map_would_not_be_the_best():
    assert one_to_one_accuracy(np.array([[10, 9], [9, 0]])) == pytest.approx(18 / 28)


def test_perplexity_of_codes_used_evenly_is_their_number():
    assert perplexity(np.array([[5, 0], [5, 5]])) == pytest.approx(3)
    assert perplexity(np.array([7, 0])) == pytest.approx(1)
    shares = np.array([0.5, 0.25, 0.25])
    assert perplexity(shares) == pytest.approx(2 ** -(shares * np.log2(shares)).sum())


def test_one_to_one_accuracy_of_too_many_actions_is_unknown():
    assert one_to_one_accuracy(np.eye(16, dtype=np.int64)) == 1
    assert np.isnan(one_to_one_accuracy(np.eye(17, dtype=np.int64)))
