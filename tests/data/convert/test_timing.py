"""Frames are kept by the times at which they are shown: what moves at a constant speed does so in the kept frames."""

import numpy as np
import pytest

from genie_gym.data import convert
from genie_gym.data.convert.timing import choose
from genie_gym.data.convert.video import keep, scan
from tests.clips import bar_places, moving_bar, write_clip

SPEED = 30  # pixels a second: 2 in each kept frame


def sections(*parts: tuple[float, int]) -> np.ndarray:
    """Return times of frames: for each (rate, count), so many frames at that rate, one section after the other."""
    gaps = np.concatenate([np.full(count, 1 / rate) for rate, count in parts])
    return np.concatenate([[0.0], np.cumsum(gaps)])[:-1]


def phone(seconds: float) -> np.ndarray:
    """Return times as a phone records them: 30 frames a second that come early or late, and some not at all."""
    rng = np.random.default_rng(0)
    times = np.arange(0, seconds, 1 / 30)
    times[1:] += rng.uniform(-0.01, 0.01, len(times) - 1)
    return times[(rng.random(len(times)) > 0.05) | (np.arange(len(times)) == 0)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
@pytest.mark.parametrize(
    "times",
    [
        np.arange(0, 3, 1 / 30),
        np.arange(0, 3, 1 / 60),
        sections((60, 60), (30, 30), (15, 15)),
        sections((90, 90), (15, 30)),
    ],
    ids=["30 a second", "60 a second", "60, then 30, then 15", "90, then 15"],
)
def test_a_bar_at_constant_speed_moves_by_equal_steps(tmp_path, suffix, times):
    path = write_clip(tmp_path / f"bar{suffix}", times, moving_bar(times, SPEED))
    video = keep(scan(path), 15, size=128)
    places = bar_places(np.stack(list(video.frames())))
    assert len(places) == pytest.approx(15 * 3, abs=1)
    np.testing.assert_allclose(np.diff(places), SPEED / 15, atol=1.1)  # bars are drawn at whole pixels
    np.testing.assert_allclose(places - places[0], SPEED / 15 * np.arange(len(places)), atol=1.1)


def test_a_phone_s_video_neither_drifts_nor_jumps(tmp_path):
    times = phone(3.5)
    video = keep(scan(write_clip(tmp_path / "phone.mp4", times, moving_bar(times, SPEED))), size=128)
    assert video.rate == 15
    places = bar_places(np.stack(list(video.frames())))
    late = (places - places[0]) / SPEED - np.arange(len(places)) / 15  # seconds
    assert np.abs(late).max() < 0.5 * np.diff(times).max() + 1 / SPEED
    assert np.diff(places).min() > 0 and np.diff(places).max() < 2 * SPEED / 15 + 1


def test_what_a_screen_recorder_leaves_out_stood_still(tmp_path):
    times = np.array([0, 1, 2, 3, 4, 5, 50, 51, 52, 53, 54]) / 30  # nothing changed for one and a half seconds
    frames = np.stack([np.full((48, 64, 3), 40 + 15 * index, np.uint8) for index in range(11)])
    video = keep(scan(write_clip(tmp_path / "screen.mp4", times, frames)), 15)
    assert video.indices.tolist() == [0, 2, 4, *[5] * 22, 6, 8, 10]
    shown = np.stack(list(video.frames()))
    np.testing.assert_allclose(shown[:, 32, 32, 0], 40 + 15 * video.indices, atol=5)
    assert "7 of the video's 11 frames taken, 15 a second" in str(video)


@pytest.mark.parametrize("jump", [60.0, -0.5])
def test_a_pause_or_a_clock_set_back_begins_a_scene(jump):
    times = np.arange(20) / 15
    times[8:] += jump
    indices, scenes = choose(times, 15)
    assert indices.tolist() == list(range(20)) and scenes == [8]


def test_a_pause_ends_an_episode(tmp_path):
    times = np.arange(40) / 15
    times[25:] += 30
    path = write_clip(tmp_path / "paused.mp4", times, moving_bar(np.arange(40) / 15, SPEED))
    assert convert.from_video(path, None, tmp_path / "out").lengths.tolist() == [25, 15]


@pytest.mark.parametrize("own", [10.0, 24.0, 29.97, 50.0, 59.94, 120.0])
@pytest.mark.parametrize("asked", [5.0, 8.0, 10.0])
def test_kept_frames_are_never_further_off_than_half_an_interval(own, asked):
    times = np.arange(500) / own
    indices, scenes = choose(times, asked)
    assert not scenes and np.abs(times[indices] - np.arange(len(indices)) / asked).max() <= 0.5 / own + 1e-5
