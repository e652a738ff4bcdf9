"""Studies as pictures: values as heat over a frame, tokens as colours.

Shapes: n = side * side tokens a frame, s side of a frame in pixels.
"""

import numpy as np
from einops import rearrange

from genie_gym.frames import enlarge
from genie_gym.metrics import Frames

__all__ = ["heat", "token_colours"]

SHINE = 0.35  # share of the picture that shines through the heat


def heat(frames: Frames, values: np.ndarray, most: float) -> Frames:
    """Lays values over pictures in grey: black where they are 0, then violet, red and yellow.

    Args:
        frames: uint8 (..., s, s, 3).
        values: (..., side, side), one for each patch, or for each pixel where side is s.
        most: the value of the brightest colour; larger ones have it too.

    Returns:
        uint8 (..., s, s, 3).
    """
    from matplotlib import colormaps  # takes a second to load

    factor = frames.shape[-2] // values.shape[-1]
    share = np.clip(values / max(most, 1e-9), 0, 1)
    colours = enlarge(colormaps["inferno"](share)[..., :3] * 255, factor)
    grey = frames.mean(-1, keepdims=True)
    return (SHINE * grey + (1 - SHINE) * colours).round().astype(np.uint8)


def token_colours(tokens: np.ndarray, codes: int, size: int, static: int | None = None) -> Frames:
    """A picture of tokens, one colour for each code, the same in all pictures.

    Args:
        tokens: int64 (..., n).
        codes: size of the codebook.
        size: s.
        static: a token that is shown in black.

    Returns:
        uint8 (..., s, s, 3).
    """
    palette = np.random.default_rng(0).integers(50, 256, (codes, 3), np.uint8)
    if static is not None:
        palette[static] = 0
    side = int(tokens.shape[-1] ** 0.5)
    return enlarge(rearrange(palette[tokens], "... (h w) k -> ... h w k", h=side), size // side)
