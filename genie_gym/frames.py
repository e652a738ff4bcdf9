"""Pictures: resizing them, tiling them, and moving between what is kept and what a model sees.

Everywhere else a picture is uint8 (..., height, width, 3); a model's picture is float (..., 3, height, width), 0 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from einops import rearrange

if TYPE_CHECKING:  # a process that only plays a game needs no torch
    import torch

__all__ = [
    "beside",
    "enlarge",
    "enlarge_bicubic",
    "from_model",
    "square",
    "strip",
    "to_gif",
    "to_model",
    "to_png",
]


def square(frame: np.ndarray, size: int = 64) -> np.ndarray:
    """Pads a picture to a centred square with black, then resizes it by area, which invents no level that is not there.

    Args:
        frame: uint8 (height, width, 3).
        size: side of the result in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    height, width = frame.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    padded = cv2.copyMakeBorder(
        frame, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return cv2.resize(padded, (size, size), interpolation=cv2.INTER_AREA)


def to_model(frames: torch.Tensor) -> torch.Tensor:
    """uint8 (..., h, w, 3) to float32 (..., 3, h, w) in [0, 1]."""
    return rearrange(frames, "... h w c -> ... c h w").float() / 255


def from_model(frames: torch.Tensor) -> torch.Tensor:
    """float (..., 3, h, w) to uint8 (..., h, w, 3), rounded to the nearest value and clipped."""
    import torch

    return rearrange((frames.float() * 255).round().clamp(0, 255).to(torch.uint8), "... c h w -> ... h w c")


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeats every pixel `factor` times in both directions; (..., h, w, 3) in, (..., h*factor, w*factor, 3) out."""
    return frames.repeat(factor, axis=-3).repeat(factor, axis=-2)


def enlarge_bicubic(frames: np.ndarray, factor: int) -> np.ndarray:
    """The same for uint8 (n, h, w, 3), with smooth transitions: bicubic interpolation of the pixels' middles."""
    height, width = frames.shape[1:3]
    size = (width * factor, height * factor)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames])


def strip(frames: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Lays pictures out in rows, left to right then top to bottom, with a grey line between them.

    Args:
        frames: uint8 (n, h, w, 3).
        columns: pictures in a row; all in one row by default.
        gap: width of the line in pixels.

    Returns:
        uint8 (rows * (h + gap) - gap, columns * (w + gap) - gap, 3); unused places are grey.
    """
    columns = columns or len(frames)
    count = -(-len(frames) // columns) * columns
    padded = np.full((count, frames.shape[1] + gap, frames.shape[2] + gap, 3), 128, np.uint8)
    padded[: len(frames), : frames.shape[1], : frames.shape[2]] = frames
    sheet = rearrange(padded, "(r c) h w k -> (r h) (c w) k", c=columns)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def beside(*clips: np.ndarray, gap: int = 2) -> np.ndarray:
    """Joins clips of equal shape (t, h, w, 3) left to right, frame by frame."""
    return np.stack([strip(np.stack(frames), gap=gap) for frames in zip(*clips, strict=True)])


def to_gif(frames: np.ndarray, fps: float = 15) -> bytes:
    """uint8 (t, h, w, 3) as a looping GIF."""
    import imageio.v3 as imageio

    return imageio.imwrite("<bytes>", frames, extension=".gif", duration=1000 / fps, loop=0)


def to_png(frame: np.ndarray) -> bytes:
    """uint8 (h, w, 3) as a PNG."""
    import imageio.v3 as imageio

    return imageio.imwrite("<bytes>", frame, extension=".png")
