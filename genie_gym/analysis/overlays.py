"""Analyses as images: values as a heat map over a frame, tokens as colours.

Shapes: n = side * side tokens a frame, s side of a frame in pixels.
"""

import numpy as np
from einops import rearrange

from genie_gym.metrics.image import Frames
from genie_gym.utils.images import enlarge

__all__ = ["heat_map", "token_colours"]

FRAME_SHARE = 0.35  # share of the grey frame in the blend


def heat_map(frames: Frames, values: np.ndarray, maximum: float) -> Frames:
    """Blend values as colours with grey frames: black where they are 0, then violet, red and yellow.

    Args:
        frames: uint8 (..., s, s, 3).
        values: (..., side, side), one for each patch, or for each pixel where side is s.
        maximum: Value of the brightest colour; larger values have it too.

    Returns:
        uint8 (..., s, s, 3).
    """
    from matplotlib import colormaps  # takes a second to load

    factor = frames.shape[-2] // values.shape[-1]
    share = np.clip(values / max(maximum, 1e-9), 0, 1)
    colours = enlarge(colormaps["inferno"](share)[..., :3] * 255, factor)
    grey = frames.mean(-1, keepdims=True)
    return (FRAME_SHARE * grey + (1 - FRAME_SHARE) * colours).round().astype(np.uint8)


def token_colours(tokens: np.ndarray, codes: int, size: int, static: int | None = None) -> Frames:
    """Draw tokens, each code in a colour of its own that is the same in all images.

    Args:
        tokens: int64 (..., n).
        codes: Number of codes in the codebook.
        size: Side of the frame in pixels, s.
        static: A token to draw in black.

    Returns:
        uint8 (..., s, s, 3).
    """
    palette = np.random.default_rng(0).integers(50, 256, (codes, 3), np.uint8)
    if static is not None:
        palette[static] = 0
    side = int(tokens.shape[-1] ** 0.5)
    return enlarge(rearrange(palette[tokens], "... (h w) k -> ... h w k", h=side), size // side)
