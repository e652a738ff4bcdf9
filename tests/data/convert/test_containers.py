"""Any container, size, number of colours and orientation; and file names as they come."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from genie_gym.data import convert
from genie_gym.data.convert.video import keep, scan
from genie_gym.errors import DataError
from tests.clips import CODECS, turn, write_clip


def corners(count: int, height: int, width: int) -> np.ndarray:
    """Return grey frames that get brighter, with a white corner at the top left and a darker one at the top right."""
    frames = np.stack([np.full((height, width, 3), 60 + 2 * index, np.uint8) for index in range(count)])
    frames[:, : height // 3, : width // 3] = 255
    frames[:, : height // 3, -(width // 3) :] = 160
    return frames


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("side", [(48, 64), (47, 65), (101, 33)], ids=["even", "odd", "narrow"])
def test_containers_and_sizes(tmp_path, suffix, side):
    frames = corners(12, *side)
    path = write_clip(tmp_path / f"v{suffix}", np.arange(12) / 12.5, frames)
    video = keep(scan(path), size=max(side))
    assert video.indices.tolist() == list(range(12)) and video.pixels == side[::-1]
    assert video.rate == pytest.approx(12.5, abs=0.1)
    top, left = (max(side) - side[0]) // 2, (max(side) - side[1]) // 2
    shown = np.stack(list(video.frames()))[:, top : top + side[0], left : left + side[1]]
    assert shown.shape == frames.shape
    assert np.abs(shown.astype(int) - frames).mean() < (
        25 if suffix == ".gif" else 6
    )  # a gif of this kind has 256 colours
    assert shown.std(axis=-1).max() < 60


def test_phones_turn_the_image_by_a_note(tmp_path):
    path = write_clip(tmp_path / "phone.mp4", np.arange(8) / 15, corners(8, 48, 96))
    turn(path)
    found = scan(path)
    assert found.pixels == (48, 96) and found.box == (0, 0, 48, 96)
    shown = next(keep(found, size=96).frames())[:, 24:72]
    file = cv2.VideoCapture(str(path))  # turns it too
    expected = cv2.cvtColor(file.read()[1], cv2.COLOR_BGR2RGB)
    assert expected.shape == shown.shape and np.abs(shown.astype(int) - expected).mean() < 3
    assert shown[5, -5].min() > 220 and shown[-5, -5].max() < 190  # the white corner is at the top right now


@pytest.mark.parametrize(
    "name",
    [
        "%03d.mp4",
        "-i.mp4",
        "a b'c\"d.mp4",
        "concat:x|y.mp4",
        "日本 é😀.mp4",
        "new\nline.mp4",
        "file:a.mp4",
        b"\xff\xfe.mp4",
        "no ending",
    ],
)
def test_names_of_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = write_clip(tmp_path / "plain.mp4", np.arange(20) / 15, corners(20, 48, 64)).rename(os.fsdecode(name))
    dataset = convert.from_video(path.name, None, tmp_path / "out")
    assert dataset.lengths.tolist() == [20] and dataset[0].info["source"].isprintable()


def test_a_video_that_breaks_off(tmp_path):
    path = write_clip(tmp_path / "v.mkv", np.arange(60) / 15, corners(60, 48, 64) // 2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 10 < len(scan(path).times) < 60


def test_sound_alone_is_no_video(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"\0\1" * 5000)
    with pytest.raises(DataError, match="no video FFmpeg reads"):
        scan(tmp_path / "v.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("minutes", "fps", "height", "width"), [(10, 15, 108, 192), (1, 10, 720, 1280)], ids=["ten minutes", "1280x720"]
)
def test_long_and_large_videos_in_little_memory(tmp_path, minutes, fps, height, width):
    """Of the whole process, Python and every library included."""
    rng, count = np.random.default_rng(0), 60 * fps * minutes
    tile = cv2.resize(rng.integers(0, 256, (30, 60, 3), np.uint8), (2 * width, height))
    frames = (tile[:, index % width :][:, :width] for index in range(count))
    write_clip(tmp_path / "clip.mp4", np.arange(count) / fps, frames)
    script = (
        "import re, sys; from pathlib import Path; from genie_gym.data import convert\n"
        "dataset = convert.from_video(sys.argv[1], None, sys.argv[2])\n"
        "most = re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]\n"
        "print(dataset.lengths.sum(), most)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "clip.mp4"), str(tmp_path / "out")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    frames_kept, kibibytes = map(int, answer.stdout.split())
    assert frames_kept == count
    assert kibibytes < 300_000
