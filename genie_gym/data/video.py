"""Reading somebody's video: which of its frames are taken, and which part of the picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genie_gym.errors import DataError
from genie_gym.frames import square

__all__ = ["Box", "Video", "read_video"]

RATE = 15.0  # frames a second at which the console games here are stepped: every fourth of 60
FASTEST = 240.0  # frames a second that a screen may have recorded; some programs write 1,000 for "it varies"
LOOKS = 100  # frames looked at for black bars
DARK = 24  # levels: bars come out of a codec a little brighter than black
THIN = 0.02  # of the picture's side: narrower borders are not worth another geometry

Box = tuple[int, int, int, int]  # left, top, width, height, in pixels


@dataclass(frozen=True)
class Video:
    """What was taken of a video.

    Attributes:
        frames: uint8 (n, size, size, 3), padded to squares.
        places: int64 (n,), the number of each in the video, from 0.
        total: frames in the video.
        rate: frames taken a second.
        pixels: width and height of the video.
        box: the part of the picture that was taken.
    """

    frames: np.ndarray
    places: np.ndarray
    total: int
    rate: float
    pixels: tuple[int, int]
    box: Box

    def __str__(self) -> str:
        text = f"{len(self.frames):,} of the video's {self.total:,} frames taken, {self.rate:g} a second"
        if self.box[2:] == self.pixels:
            return text
        return f"{text}; {_by(self.box[2:])} of {_by(self.pixels)} pixels, the rest are black bars"


def read_video(
    path: str | Path,
    fps: float | None = None,
    size: int = 64,
    *,
    keep_bars: bool = False,
    boxes: dict[tuple[int, int], Box] | None = None,
) -> Video:
    """Reads a video in any format that OpenCV reads, with sound or without.

    Args:
        fps: frames a second to take; by default every second of 25 or 30, every fourth of 60, about 15 in any case.
        size: side of the frames in pixels.
        keep_bars: takes the whole picture; else what is black at the edges all the time is cut off.
        boxes: the part to take of videos with so many pixels, width and height, where it is known.

    Raises:
        DataError: a missing or unreadable file, or a wrong `fps`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no video {path}")
    own, brightest = _look(path)
    height, width = brightest.shape
    box = (0, 0, width, height) if keep_bars else (boxes or {}).get((width, height)) or _bright_box(brightest)
    left, top = box[:2]
    stride = _stride(path, own, fps)
    frames: list[np.ndarray] = []
    places: list[int] = []
    total = 0
    with _opened(path) as video:
        while video.grab():
            if total >= len(places) * stride:
                picture = _picture(video)[top : top + box[3], left : left + box[2]]
                frames.append(square(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), size))
                places.append(total)
            total += 1
    rate = own / stride if own else fps or RATE
    return Video(np.stack(frames), np.array(places), total, round(rate, 3), (width, height), box)


def _look(path: Path) -> tuple[float, np.ndarray]:
    """Frames a second (0 if unknown), and the brightest value of each pixel in frames of the whole video."""
    brightest, count = None, 0
    with _opened(path) as video:
        own, expected = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        every = max(1, int(expected // LOOKS)) if expected > 0 else 1
        while video.grab():
            if count % every == 0:
                seen = _picture(video).max(-1)
                brightest = seen if brightest is None else np.maximum(brightest, seen)
            count += 1
    if brightest is None or count < 2:
        raise DataError(f"{count} frame(s) could be read from {path}; it is no video OpenCV reads, or too short")
    if own > FASTEST:
        raise DataError(
            f"{path} says it has {own:g} frames a second; write it anew with: ffmpeg -i {path} -r 30 new.mp4"
        )
    return max(own, 0.0), brightest


def _bright_box(brightest: np.ndarray) -> Box:
    """What is left of a picture without its black bars, given the brightest value of each pixel, uint8 (h, w)."""
    left, right = _bright_span(brightest.max(0) > DARK)
    top, bottom = _bright_span(brightest.max(1) > DARK)
    return left, top, right - left, bottom - top


def _bright_span(bright: np.ndarray) -> tuple[int, int]:
    """First and one past the last of the bright columns or rows, bool (n,); thin borders, and all-dark, are left."""
    found = np.flatnonzero(bright)
    if not len(found):
        return 0, len(bright)
    thin = THIN * len(bright)
    first, last = int(found[0]), int(found[-1]) + 1
    return (first if first >= thin else 0), (last if len(bright) - last >= thin else len(bright))


def _stride(path: Path, own: float, fps: float | None) -> float:
    """Video frames from one that is taken to the next, at least 1; whole where that is nearly so, as at 29.97 to 15."""
    if not own:
        return 1.0
    if fps is None:
        return float(max(1, round(own / RATE)))
    if not 0 < fps <= 1.01 * own:
        raise DataError(f"fps must be above 0 and not above the {own:g} of {path}, got {fps}")
    stride = max(own / fps, 1.0)
    return float(round(stride)) if abs(stride - round(stride)) < 0.02 else stride


def _picture(video: Any) -> np.ndarray:
    """The frame that was grabbed: uint8 (h, w, 3), BGR."""
    read, picture = video.retrieve()
    if not read:
        raise DataError("a frame of the video cannot be decoded; write the video anew with: ffmpeg -i OLD new.mp4")
    return picture


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    video = cv2.VideoCapture(str(path))
    try:
        yield video
    finally:
        video.release()


def _by(pixels: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in pixels)
