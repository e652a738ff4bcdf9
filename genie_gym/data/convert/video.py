"""Reading a video: when its frames are shown, its black bars, and the frames that are kept, one at a time."""

import multiprocessing
import os
import shlex
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange

from genie_gym.data.convert.bars import Box, bright_box
from genie_gym.data.convert.episodes import source_id
from genie_gym.data.convert.timing import RATE, Rate, choose, default_rate, rounded_rate, usual_rate
from genie_gym.data.storage import first_line
from genie_gym.errors import DataError, printable
from genie_gym.utils.extras import require
from genie_gym.utils.images import letterbox
from genie_gym.utils.paths import open_regular
from genie_gym.utils.progress import tracked

__all__ = ["MAX_SIDE", "Scan", "Video", "decode", "keep", "scan", "upright"]

MAX_RATE = 240.0  # frames per second that a screen can show; some programs write 1,000 for a variable rate
MAX_SIDE = 8192  # pixels: images are padded to squares, which take 200 MB at this size
PLAIN_TEXT = bytes([*b"\t\n\r", *range(32, 127)])
REWRITE = "write the video anew with: ffmpeg -i OLD new.mp4"
MAX_THREADS = 4
BAR_FRAMES, BAR_SECONDS = 100, 1.0  # searched for black bars: so many frames at the beginning, then one each second


@dataclass(frozen=True)
class Scan:
    """What one look through a video finds.

    Attributes:
        path: The video.
        times: float64 (n,), when each of its frames is shown, in seconds.
        pixels: Width and height, turned upright.
        box: The part of the image that is not always black.
        digest: A hash of the file.
    """

    path: Path
    times: np.ndarray
    pixels: tuple[int, int]
    box: Box
    digest: str

    @property
    def rate(self) -> Rate:
        """How often the video shows a new frame."""
        return usual_rate(self.times)


@dataclass(frozen=True)
class Video:
    """The frames that are kept of a video; they are read anew each time that they are asked for.

    Attributes:
        path: The video.
        indices: int64 (n,), the index of each kept frame in the video, in order.
        scenes: At which of the n a scene begins because the video was paused; the first is not listed.
        total: Number of frames in the video.
        rate: Frames per second that are kept.
        pixels: Width and height of the video, turned upright.
        box: The part of the image that is kept.
        size: Side of the frames in pixels.
    """

    path: Path
    indices: np.ndarray
    scenes: list[int]
    total: int
    rate: float
    pixels: tuple[int, int]
    box: Box
    size: int

    def __str__(self) -> str:
        taken = len(np.unique(self.indices))
        text = f"{taken:,} of the video's {self.total:,} frames taken, {self.rate:g} a second"
        if self.box[2:] == self.pixels:
            return text
        return f"{text}; {_resolution(self.box[2:])} of {_resolution(self.pixels)} pixels, the rest are black bars"

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the kept frames: uint8 (size, size, 3), RGB, padded to squares.

        Raises:
            DataError: The video cannot be read as before.
        """
        left, top, width, height = self.box
        for count, frame in _repeated(self.indices, decode(self.path)):
            image = np.ascontiguousarray(upright(frame)[top : top + height, left : left + width])
            kept = letterbox(image, self.size)
            for _ in range(count):
                yield kept


def scan(path: str | Path) -> Scan:
    """Look through a video in any format that FFmpeg reads; sound is ignored.

    Raises:
        DataError: The file is missing or unreadable, or has frames of several or absurd sizes.
    """
    path, times, brightest, looked = Path(path), array("d"), None, 0.0
    pixels: tuple[int, int] | None = None
    for time, frame in tracked(decode(path), f"looking through {printable(path.name)}", unit="frames"):
        if pixels not in (None, (frame.width, frame.height)):
            raise DataError(f"the frames of {path} change their size; {REWRITE}")
        pixels = frame.width, frame.height
        if len(times) < BAR_FRAMES or abs(time - looked) >= BAR_SECONDS:
            red, green, blue = rearrange(upright(frame), "h w c -> c h w")
            levels, looked = np.maximum(np.maximum(red, green), blue), time
            brightest = levels if brightest is None else np.maximum(brightest, levels)
        times.append(time)
    if brightest is None or len(times) < 2:
        raise DataError(f"{len(times)} frame(s) could be read from {path}; it is no video FFmpeg reads, or too short")
    found = Scan(path, np.array(times), brightest.shape[::-1], bright_box(brightest), source_id([path]))
    if found.rate.value > MAX_RATE:
        raise DataError(
            f"{path} shows {found.rate.value:g} frames a second; write it anew with: "
            f"ffmpeg -i {shlex.quote(str(path))} -r 30 new.mp4"
        )
    return found


def keep(found: Scan, fps: float | None = None, box: Box | None = None, size: int = 64) -> Video:
    """Return which frames and which part of the image are kept of a video.

    Args:
        found: What the video holds.
        fps: Frames per second to keep; by default about 15: every second frame of 25 or 30, every fourth of 60.
        box: The part of the image to keep; by default edges that are always black are cropped.
        size: Side of the frames in pixels.

    Raises:
        DataError: `fps` is higher than the video's own rate.
    """
    own = found.rate
    if fps is not None and own.value and not 0 < fps <= 1.01 * own.value:
        raise DataError(f"fps must be above 0 and not above the {own.value:g} of {found.path}, got {fps:g}")
    rate = default_rate(own) if fps is None else rounded_rate(own, fps)
    indices, scenes = choose(found.times, rate)
    box = found.box if box is None else box
    return Video(found.path, indices, scenes, len(found.times), round(rate, 3), found.pixels, box, size)


def _repeated(indices: np.ndarray, decoded: Iterable[tuple[float, Any]]) -> Iterator[tuple[int, Any]]:
    """Yield each decoded frame whose index is listed, and how often it is."""
    wanted, counts = np.unique(indices, return_counts=True)
    places = iter(zip(wanted.tolist(), counts.tolist(), strict=True))
    place = next(places, None)
    for index, (_, frame) in enumerate(decoded):
        if place is None:
            return
        if index == place[0]:
            yield place[1], frame
            place = next(places, None)


def decode(path: Path) -> Iterator[tuple[float, Any]]:
    """Yield each frame of a video and when it is shown, in seconds. What is damaged is left out.

    Raises:
        DataError: The file is missing or no video, or its frames are absurdly large.
    """
    damaged = require("av").error.FFmpegError
    with _reading(path), _opened(path) as (container, stream):
        time, step = 0.0, 1 / float(stream.average_rate or RATE)
        for packet in _packets(container, stream, damaged):
            try:
                frames = packet.decode()
            except damaged:
                continue
            for frame in frames:
                if max(frame.width, frame.height) > MAX_SIDE:
                    raise DataError(_too_large(path, frame.width, frame.height))
                time = time + step if frame.time is None else float(frame.time)
                yield time, frame


def _packets(container: Any, stream: Any, damaged: type[Exception]) -> Iterator[Any]:
    """Yield the packets of a stream up to its end or to where the file breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, damaged):
            return


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of the file system into ours."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read ({printable(error.strerror or first_line(error))})") from None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video. FFmpeg gets an open file rather than its name, which it might take for a pattern or an address."""
    av = require("av")
    try:
        file = open_regular(path)
    except OSError as error:
        raise DataError(f"no video {path} ({error.strerror})") from None
    with file:
        start = file.read(4096)
        file.seek(0)
        if start and not start.translate(None, PLAIN_TEXT):  # a playlist, which names other files to be read
            raise DataError(f"0 frame(s) could be read from {path}: it is a text; give a video")
        try:
            # Playlists are not followed, and tags in other encodings than UTF-8 are no reason to stop.
            container = av.open(file, metadata_errors="ignore", options={"protocol_whitelist": "none"})
        except (av.error.FFmpegError, ValueError) as error:
            raise DataError(
                f"0 frame(s) could be read from {path} ({printable(first_line(error))}); it is no video FFmpeg reads"
            ) from None
        with container:
            stream = container.streams.best("video")
            if stream is None or stream.codec_context is None:
                raise DataError(f"0 frame(s) could be read from {path}: it holds no video that FFmpeg reads")
            if max(stream.width, stream.height) > MAX_SIDE:
                raise DataError(_too_large(path, stream.width, stream.height))
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = _threads()
            yield container, stream


def _threads() -> int:
    """Return how many threads decode: each holds frames in memory, and worker processes are as many as CPU cores."""
    return 1 if multiprocessing.parent_process() else min(os.cpu_count() or 1, MAX_THREADS)


def _too_large(path: Path, width: int, height: int) -> str:
    return f"{path} has {width}x{height} pixels, the longest side is {MAX_SIDE:,}"


def upright(frame: Any) -> np.ndarray:
    """Return a frame as it is meant to be seen, uint8 (h, w, 3), RGB: phones turn the image by a note in the file.

    Raises:
        DataError: FFmpeg knows no way from the frame's colours to RGB.
    """
    try:
        image = frame.to_ndarray(format="rgb24")
    except (require("av").error.FFmpegError, ValueError) as error:
        raise DataError(f"a frame of the video cannot be decoded ({printable(first_line(error))}); {REWRITE}") from None
    return np.rot90(image, round(frame.rotation / 90) % 4)


def _resolution(pixels: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in pixels)
