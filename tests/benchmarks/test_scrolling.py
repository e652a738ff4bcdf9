"""Scrolling: the camera's speed is measured, of real and dreamed frames alike."""

import numpy as np
import pytest

from benchmarks.quality.branches import Branches
from benchmarks.quality.scrolling import camera_path, score


def panned(speed: int, steps: int, seed: int) -> np.ndarray:
    """Frames of a camera that moves to the right over a picture of coloured blocks, uint8 (steps + 1, 32, 32, 3)."""
    world = np.random.default_rng(seed).integers(0, 256, (8, 40, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return np.stack([world[:, speed * i : speed * i + 32] for i in range(steps + 1)])


def branches(speeds: tuple[int, ...], moments: int = 3) -> Branches:
    """Moments at which each action moves the camera with a speed of its own, all from the same frames."""
    clips = np.stack([[panned(speed, 5, seed) for speed in speeds] for seed in range(moments)])
    return Branches(clips[:, 0, :1].repeat(4, 1), np.zeros((moments, 3), np.int64), clips[:, :, 1:])


def test_speeds_are_measured():
    path = camera_path((shown := branches((0, 1, 3))).prompts[:, -1], shown.held)
    assert np.allclose(path, np.array([0, 1, 3])[None, :, None], atol=0.01)


def test_a_dream_that_scrolls_too_slowly_is_seen():
    figures = score(branches((0, 3)), branches((0, 2)).held, ("NOOP", "RIGHT"))
    table = figures["pixels_to_the_right"]
    assert figures["moments_that_count"] == 3
    assert table["NOOP"]["dreamed_pixels"] == pytest.approx(0, abs=0.05)
    assert table["RIGHT"]["real_pixels"] == pytest.approx(15, abs=0.1)
    assert table["RIGHT"]["dreamed_pixels"] == pytest.approx(10, abs=0.1)


def test_moments_at_which_the_picture_changes_altogether_do_not_count():
    shown = branches((0, 3))
    shown.held[0, :, 3:] = 255 - shown.held[0, :, 3:]
    assert score(shown, shown.held, ("NOOP", "RIGHT"))["moments_that_count"] == 2
