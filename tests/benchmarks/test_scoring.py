"""Errors of predicted clips are worked out by hand."""

import numpy as np
import pytest

from benchmarks.quality.scoring import compare
from genie_gym.evaluation.clips import ClipPredictor, PredictedClips
from genie_gym.evaluation.results import Speed
from tests.conftest import untrained


def clips(errors: list[int], moved: int) -> PredictedClips:
    """Grey clips of one frame that moved by so many levels, of which predictions are off by their own errors."""
    real = np.full((len(errors), 2, 64, 64, 3), 100, np.uint8)
    real[:, 1] += np.uint8(moved)
    shown = real[:, 1:] + np.array(errors, np.uint8)[:, None, None, None, None]
    predictor = ClipPredictor(untrained(), real[:, :1], np.arange(len(errors)), untrained().sampling)
    moving = np.zeros(real.shape[:-1], bool)
    moving[:, :, :8] = True
    return PredictedClips(predictor, real, np.zeros((len(errors), 1), int), moving, real, shown, shown, Speed(1.0, 1))


def test_errors_are_means_over_clips():
    found = compare(clips([0, 3, 6], moved=10), 0)
    squares = np.array([0.0, 9.0, 36.0])
    error = np.sqrt(((squares - 15) ** 2).sum() / 2 / 3)
    assert found["mse"] == pytest.approx([15, error]) and found["mse_repeating"] == pytest.approx([100, 0])
    assert found["mse_less_than_repeating"] == pytest.approx([85, error])
    assert found["moving_psnr"] == pytest.approx(10 * np.log10(255**2 / 15))
    assert found["moving_psnr_repeating"] == pytest.approx(10 * np.log10(255**2 / 100))
    assert found["moving_share"] == pytest.approx(8 / 64)
