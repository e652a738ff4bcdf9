"""Which frames of a video are kept, which part of the image, and where scenes begin."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from genie_gym.data import convert
from genie_gym.data.convert.video import Video, keep, scan
from genie_gym.errors import DataError
from genie_gym.utils.images import letterbox


def write(path: Path, frames: np.ndarray, fps: float = 30) -> Path:
    """Write frames uint8 (t, h, w, 3), RGB, as an mp4."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, frames.shape[2:0:-1])
    assert video.isOpened()
    for frame in frames:
        video.write(frame[..., ::-1].copy())
    video.release()
    return path


def read(path: Path, fps: float | None = None, box: tuple | None = None) -> tuple[Video, np.ndarray]:
    """Return what is kept of a video, and its frames: uint8 (n, 64, 64, 3)."""
    video = keep(scan(path), fps, box)
    return video, np.stack(list(video.frames()))


def shades(count: int, height: int = 48, width: int = 64, first: int = 40, step: int = 1) -> np.ndarray:
    """Return frames that are each `step` levels brighter than the one before."""
    levels = np.arange(first, first + step * count, step, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def letterboxed(frames: np.ndarray, top: int, left: int) -> np.ndarray:
    return np.pad(frames, ((0, 0), (top, top), (left, left), (0, 0)))


@pytest.mark.parametrize(
    ("own", "asked", "rate", "indices"),
    [
        (30, None, 15, [0, 2, 4, 6, 8, 10]),
        (60, None, 15, [0, 4, 8]),
        (25, None, 12.5, [0, 2, 4, 6, 8, 10]),
        (20, None, 20, range(12)),
        (10, None, 10, range(12)),
        (29.97, 15, 14.985, [0, 2, 4, 6, 8, 10]),
        (29.97, 30, 29.97, range(12)),
        (30, 20, 20, [0, 2, 3, 5, 6, 8, 9, 11]),
    ],
)
def test_which_frames_are_taken(tmp_path, own, asked, rate, indices):
    video, frames = read(write(tmp_path / "v.mp4", shades(12, step=10), own), asked)
    assert video.indices.tolist() == list(indices) and video.total == 12
    assert video.rate == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(frames[:, 32, 32, 0], [40 + 10 * index for index in indices], atol=4)


def test_black_bars_are_cut_off(tmp_path):
    slopes = np.linspace(60, 200, 64)[None, :, None] + np.linspace(0, 50, 48)[:, None, None]
    image = np.broadcast_to(slopes.astype(np.uint8), (6, 48, 64, 3))
    path = write(tmp_path / "wide.mp4", letterboxed(image, 0, 32))
    video, frames = read(path)
    assert video.pixels == (128, 48)
    assert np.abs(np.array(video.box) - (32, 0, 64, 48)).max() <= 2
    same = letterbox(image[0], 64).astype(int)
    assert np.abs(frames[0][8:56] - same[8:56]).mean() < 8  # a codec lies between
    assert "of 128x48 pixels, the rest are black bars" in str(video) and "3 of the video's 6 frames" in str(video)
    whole, frames = read(path, box=(0, 0, 128, 48))
    assert whole.box == (0, 0, 128, 48) and "bars" not in str(whole)
    assert frames[:, :, :14].max() < 30


def test_what_is_dark_only_for_a_while_is_no_bar(tmp_path):
    frames = shades(8)
    frames[:6, :20] = 0
    assert scan(write(tmp_path / "v.mp4", frames)).box == (0, 0, 64, 48)


@pytest.mark.parametrize("frames", [letterboxed(shades(4, 198, 64), 1, 0), 0 * shades(4)], ids=["thin", "all black"])
def test_no_bars_worth_the_name(tmp_path, frames):
    assert scan(write(tmp_path / "v.mp4", frames)).box == (0, 0, 64, frames.shape[1])


def test_later_videos_are_cut_like_the_first(tmp_path):
    frames = letterboxed(shades(60), 24, 0)
    out = tmp_path / "out"
    convert.from_video(write(tmp_path / "one.mp4", frames), None, out)
    frames[:, 24:48] = 0  # the upper half of the game stays dark
    dataset = convert.from_video(write(tmp_path / "two.mp4", frames), None, out)
    boxes = [run["box"] for run in dataset.header["runs"]]
    assert boxes[0] == boxes[1] and boxes[0][1] == pytest.approx(24, abs=1)


def test_a_recording_has_one_rate(tmp_path):
    out = tmp_path / "out"
    first = convert.from_video(write(tmp_path / "one.mp4", shades(40), 30), None, out, fps=10)
    assert first.header["game"]["fps"] == 10
    with pytest.raises(
        DataError, match=r"out has 10 frames a second, not 15; leave --fps out, or choose another --game"
    ):
        convert.from_video(write(tmp_path / "two.mp4", shades(40, first=90), 30), None, out, fps=15)
    both = convert.from_video(tmp_path / "two.mp4", None, out)
    assert both.lengths.tolist() == [14, 14]


def test_a_rate_that_no_screen_has(tmp_path):
    with pytest.raises(DataError, match=r"shows 1000 frames a second; write it anew with: ffmpeg"):
        scan(write(tmp_path / "v.mp4", shades(4), 1000))


@pytest.mark.parametrize("shape", [(64, 48), (160, 90)])
def test_scenes_of_an_edited_video(tmp_path, shape):
    scenes = [shades(20), shades(31, first=160), shades(1, first=10), shades(28, first=90)]
    frames = np.stack([cv2.resize(frame, shape) for frame in np.concatenate(scenes)])
    path, messages = write(tmp_path / "v.mp4", frames, 15), []
    whole = convert.from_video(path, None, tmp_path / "whole", on_message=messages.append)
    assert whole.lengths.tolist() == [80]
    assert messages[0] == "80 of the video's 80 frames taken, 15 a second"
    assert messages[1].startswith("3 time(s) the whole image changes at once;") and "--cuts" in messages[1]
    messages.clear()
    scenes = convert.from_video(path, None, tmp_path / "scenes", cuts=True, on_message=messages.append)
    assert scenes.lengths.tolist() == [20, 31, 28] and len(messages) == 1
    assert [episode.info["first_frame"] for episode in scenes.episodes()] == [0, 20, 52]
