"""Images: resizing, tiling, file formats, and conversion to and from a model's input.

An image is uint8 (..., height, width, 3); a model's is float (..., 3, height, width) in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from einops import rearrange

from genie_gym.utils.extras import require

if TYPE_CHECKING:  # a process that only steps a game needs no torch
    import torch

__all__ = [
    "enlarge",
    "enlarge_bicubic",
    "from_model",
    "grid",
    "hstack",
    "letterbox",
    "to_gif",
    "to_model",
    "to_png",
    "to_strip",
]


def letterbox(frame: np.ndarray, size: int = 64) -> np.ndarray:
    """Pad an image with black to a centred square, then resize it by area, which keeps within its levels.

    Args:
        frame: uint8 (height, width, 3).
        size: Side of the result in pixels.

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
    """Convert uint8 (..., h, w, 3) to float32 (..., 3, h, w) in [0, 1]."""
    return rearrange(frames, "... h w c -> ... c h w").float() / 255


def from_model(frames: torch.Tensor) -> torch.Tensor:
    """Convert float (..., 3, h, w) to uint8 (..., h, w, 3), rounded to the nearest value and clipped."""
    import torch

    return rearrange((frames.float() * 255).round().clamp(0, 255).to(torch.uint8), "... c h w -> ... h w c")


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel `factor` times in both directions: (..., h, w, 3) to (..., h * factor, w * factor, 3)."""
    return frames.repeat(factor, axis=-3).repeat(factor, axis=-2)


def enlarge_bicubic(frames: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge uint8 (n, h, w, 3) by bicubic interpolation to (n, h * factor, w * factor, 3)."""
    height, width = frames.shape[1:3]
    size = (width * factor, height * factor)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames])


def grid(frames: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Lay images out in rows, left to right then top to bottom, with a grey line between them.

    Args:
        frames: uint8 (n, h, w, 3).
        columns: Images per row; all in one row by default.
        gap: Width of the line in pixels.

    Returns:
        uint8 (rows * (h + gap) - gap, columns * (w + gap) - gap, 3); unused places are grey.
    """
    columns = columns or len(frames)
    count = -(-len(frames) // columns) * columns
    padded = np.full((count, frames.shape[1] + gap, frames.shape[2] + gap, 3), 128, np.uint8)
    padded[: len(frames), : frames.shape[1], : frames.shape[2]] = frames
    sheet = rearrange(padded, "(r c) h w k -> (r h) (c w) k", c=columns)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def hstack(*clips: np.ndarray, gap: int = 2) -> np.ndarray:
    """Join clips of equal shape (t, h, w, 3) left to right, frame by frame."""
    return np.stack([grid(np.stack(frames), gap=gap) for frames in zip(*clips, strict=True)])


def to_gif(frames: np.ndarray, fps: float = 15) -> bytes:
    """Encode a clip uint8 (t, h, w, 3) as a looping GIF."""
    return require("imageio.v3").imwrite("<bytes>", frames, extension=".gif", duration=1000 / fps, loop=0)


def to_png(frame: np.ndarray) -> bytes:
    """Encode an image uint8 (h, w, 3) as a PNG."""
    return require("imageio.v3").imwrite("<bytes>", frame, extension=".png")


def to_strip(clip: np.ndarray) -> bytes:
    """Encode a clip uint8 (t, h, w, 3) as one PNG, its frames below one another, as browsers take it in one request."""
    strip = rearrange(clip[..., ::-1], "t h w c -> (t h) w c")
    return cv2.imencode(".png", np.ascontiguousarray(strip))[1].tobytes()
