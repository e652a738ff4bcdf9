"""Videos for tests: frames at any times, in any container, turned as phones turn them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {  # by ending: codec, format of the pixels, unit of time
    ".mp4": ("mpeg4", "yuv420p", Fraction(1, 1000)),
    ".mov": ("libx264", "yuv444p", Fraction(1, 600)),
    ".webm": ("libvpx-vp9", "yuv444p", Fraction(1, 1000)),
    ".mkv": ("ffv1", "gray", Fraction(1, 1000)),
    ".gif": ("gif", "rgb8", Fraction(1, 100)),
}
UPRIGHT = bytes.fromhex("00010000" + "00" * 12 + "00010000" + "00" * 12 + "40000000")
QUARTER_TURN = bytes.fromhex("00000000" + "00010000" + "00" * 4 + "ffff0000" + "00" * 16 + "40000000")


def write_clip(path: Path, times: Sequence[float], frames: Iterable[np.ndarray], codec: str | None = None) -> Path:
    """Write frames uint8 (h, w, 3), RGB, that are shown at those times, in seconds."""
    own, pixels, unit = CODECS.get(path.suffix, CODECS[".mp4"])
    with (
        path.open("wb") as file,
        av.open(file, "w", format={".mkv": "matroska"}.get(path.suffix, path.suffix[1:])) as out,
    ):
        stream = None
        for time, frame in zip(times, frames, strict=True):
            if stream is None:
                stream = out.add_stream(codec or own, rate=round(1 / unit))
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], pixels
                stream.time_base = stream.codec_context.time_base = unit
            image = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)
            image.pts, image.time_base = round(time / unit), unit
            out.mux(stream.encode(image))
        out.mux(stream.encode(None))
    return path


def turn(path: Path) -> None:
    """Note in an mp4 or mov that it is to be shown a quarter turn clockwise."""
    content = path.read_bytes()
    place = content.index(UPRIGHT, content.index(b"tkhd"))
    path.write_bytes(content[:place] + QUARTER_TURN + content[place + len(UPRIGHT) :])


def moving_bar(times: Sequence[float], speed: float, width: int = 128, height: int = 48, thick: int = 6) -> np.ndarray:
    """Return frames uint8 (n, height, width, 3) of a bright bar on grey that moves by `speed` pixels a second."""
    frames = np.full((len(times), height, width, 3), 60, np.uint8)
    for frame, time in zip(frames, times, strict=True):
        left = round(speed * time)
        frame[:, left : left + thick] = 255
    return frames


def bar_places(frames: np.ndarray) -> np.ndarray:
    """Return the left edge of the bar in each frame, float64 (n,): the mean column of what is bright."""
    rows = frames[:, frames.shape[1] // 2, :, 0].astype(float).clip(100) - 100
    return (rows * np.arange(rows.shape[1])).sum(1) / rows.sum(1)
