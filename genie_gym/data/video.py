"""Reading a video: which of its frames are kept, and which part of the image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genie_gym.data.episode import MAX_BYTES
from genie_gym.data.storage import first_line
from genie_gym.errors import DataError, printable
from genie_gym.utils.images import letterbox
from genie_gym.utils.paths import file_size

__all__ = ["MAX_SIDE", "Box", "Video", "check_length", "read_video"]

RATE = 15.0  # steps per second of the console games here: every fourth frame of 60
MAX_RATE = 240.0  # frames per second that a screen can show; some programs write 1,000 for a variable rate
MAX_SIDE = 8192  # pixels: images are padded to squares, which take 200 MB at this size
MAX_FRAMES = 2**31  # files may claim any number
PLAIN_TEXT = bytes([*b"\t\n\r", *range(32, 127)])
REWRITE = "write the video anew with: ffmpeg -i OLD new.mp4"
BAR_FRAMES = 100  # number of frames searched for black bars
DARK = 24  # levels: codecs make black bars a little brighter
MIN_BAR = 0.02  # share of the image's side; narrower bars are not worth another crop

Box = tuple[int, int, int, int]  # left, top, width, height, in pixels


@dataclass(frozen=True)
class Video:
    """The frames kept of a video.

    Attributes:
        frames: uint8 (n, size, size, 3), padded to squares.
        indices: int64 (n,), the index of each frame in the video.
        total: Number of frames in the video.
        rate: Frames per second that were kept.
        pixels: Width and height of the video.
        box: The part of the image that was kept.
    """

    frames: np.ndarray
    indices: np.ndarray
    total: int
    rate: float
    pixels: tuple[int, int]
    box: Box

    def __str__(self) -> str:
        text = f"{len(self.frames):,} of the video's {self.total:,} frames taken, {self.rate:g} a second"
        if self.box[2:] == self.pixels:
            return text
        return f"{text}; {_resolution(self.box[2:])} of {_resolution(self.pixels)} pixels, the rest are black bars"


def read_video(
    path: str | Path,
    fps: float | None = None,
    size: int = 64,
    *,
    keep_bars: bool = False,
    boxes: dict[tuple[int, int], Box] | None = None,
) -> Video:
    """Read a video in any format that OpenCV reads; sound is ignored.

    Args:
        path: The video.
        fps: Frames per second to keep; by default about 15: every second frame of 25 or 30, every fourth of 60.
        size: Side of the frames in pixels.
        keep_bars: Keep the whole image; by default edges that are always black are cropped.
        boxes: The part of the image to keep, by resolution (width, height), where it is known.

    Raises:
        DataError: The file is missing or unreadable, or `fps` is higher than the video's own rate.
    """
    path = Path(path)
    _check_file(path)
    try:
        return _read(path, fps, size, keep_bars, boxes or {})
    except cv2.error as error:
        raise DataError(f"{path} cannot be decoded ({printable(first_line(error))}); {REWRITE}") from None


def check_length(source: Path, frames: float, size: int) -> None:
    """Raise DataError if so many frames do not fit into an array in memory."""
    most = MAX_BYTES // (size * size * 3)
    if frames > most:
        raise DataError(
            f"{source} gives {frames:,.0f} frames, and at most {most:,} are taken at once; convert it in parts"
        )


def _check_file(path: Path) -> None:
    try:
        file_size(path)
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise DataError(f"no video {path} ({error.strerror})") from None
    if start and not start.translate(None, PLAIN_TEXT):  # a playlist, which names other files to be read
        raise DataError(f"0 frame(s) could be read from {path}: it is a text; give a video")


def _read(path: Path, fps: float | None, size: int, keep_bars: bool, boxes: dict[tuple[int, int], Box]) -> Video:
    own_rate, brightest, expected = _scan(path)
    height, width = brightest.shape
    box = (0, 0, width, height) if keep_bars else boxes.get((width, height)) or _bright_box(brightest)
    left, top = box[:2]
    stride = _stride(path, own_rate, fps)
    check_length(path, expected / stride, size)
    frames: list[np.ndarray] = []
    indices: list[int] = []
    total = 0
    with _opened(path) as video:
        while video.grab():
            if total >= len(indices) * stride:
                image = _image(video)[top : top + box[3], left : left + box[2]]
                frames.append(letterbox(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), size))
                indices.append(total)
                check_length(path, len(indices), size)
            total += 1
    rate = own_rate / stride if own_rate else fps or RATE
    return Video(np.stack(frames), np.array(indices), total, round(rate, 3), (width, height), box)


def _scan(path: Path) -> tuple[float, np.ndarray, int]:
    """Return the frame rate (0 if unknown), each pixel's maximum over frames of the whole video, and their number."""
    brightest, count = None, 0
    with _opened(path) as video:
        rate, expected = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        sides = (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if max(sides) > MAX_SIDE:
            raise DataError(f"{path} has {sides[0]:.0f}x{sides[1]:.0f} pixels, the longest side is {MAX_SIDE:,}")
        interval = int(expected // BAR_FRAMES) if BAR_FRAMES < expected < MAX_FRAMES else 1
        while video.grab():
            if count % interval == 0:
                levels = _image(video).max(-1)
                if brightest is not None and brightest.shape != levels.shape:
                    raise DataError(f"the frames of {path} change their size; {REWRITE}")
                brightest = levels if brightest is None else np.maximum(brightest, levels)
            count += 1
    if brightest is None or count < 2:
        raise DataError(f"{count} frame(s) could be read from {path}; it is no video OpenCV reads, or too short")
    if rate > MAX_RATE:
        raise DataError(
            f"{path} says it has {rate:g} frames a second; write it anew with: ffmpeg -i {path} -r 30 new.mp4"
        )
    return (rate if rate > 0 else 0.0), brightest, count


def _bright_box(brightest: np.ndarray) -> Box:
    """Return the part of the image inside its black bars, given each pixel's maximum, uint8 (h, w)."""
    left, right = _bright_span(brightest.max(0) > DARK)
    top, bottom = _bright_span(brightest.max(1) > DARK)
    return left, top, right - left, bottom - top


def _bright_span(bright: np.ndarray) -> tuple[int, int]:
    """Return the first bright column or row and the one after the last, given bool (n,).

    Narrow bars are not cropped, and neither is an image that is dark everywhere.
    """
    found = np.flatnonzero(bright)
    if not len(found):
        return 0, len(bright)
    narrow = MIN_BAR * len(bright)
    first, last = int(found[0]), int(found[-1]) + 1
    return (first if first >= narrow else 0), (last if len(bright) - last >= narrow else len(bright))


def _stride(path: Path, own_rate: float, fps: float | None) -> float:
    """Return the distance between kept frames, at least 1; rounded if nearly whole, as from 29.97 to 15."""
    if not own_rate:
        return 1.0
    if fps is None:
        return float(max(1, round(own_rate / RATE)))
    if not 0 < fps <= 1.01 * own_rate:
        raise DataError(f"fps must be above 0 and not above the {own_rate:g} of {path}, got {fps}")
    stride = max(own_rate / fps, 1.0)
    return float(round(stride)) if abs(stride - round(stride)) < 0.02 else stride


def _image(video: Any) -> np.ndarray:
    """Return the frame that was grabbed: uint8 (h, w, 3), BGR."""
    read, image = video.retrieve()
    if not read or image.ndim != 3:
        raise DataError(f"a frame of the video cannot be decoded; {REWRITE}")
    return image


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    video = cv2.VideoCapture(str(path))
    try:
        yield video
    finally:
        video.release()


def _resolution(pixels: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in pixels)
