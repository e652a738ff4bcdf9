"""Black bars: the edges of a video that are dark in all of its frames."""

from collections.abc import Iterable

import numpy as np

__all__ = ["Box", "bright_box", "choose_box", "is_centred"]

DARK = 24  # levels: codecs make black bars a little brighter
MIN_BAR = 0.02  # share of the image's side; narrower bars are not worth another crop

Box = tuple[int, int, int, int]  # left, top, width, height, in pixels


def bright_box(brightest: np.ndarray) -> Box:
    """Return the part of the image inside its black bars, given each pixel's maximum, uint8 (h, w)."""
    left, right = _bright_span(brightest.max(0) > DARK)
    top, bottom = _bright_span(brightest.max(1) > DARK)
    return left, top, right - left, bottom - top


def choose_box(box: Box, pixels: tuple[int, int], others: Iterable[Box]) -> Box:
    """Return the part to keep of a clip whose bright part is `box`, given those of clips of the same resolution.

    Players and editors make bars in pairs of equal width. Where the two sides of a clip differ, some of the darkness
    may be the game's own, such as a night sky; then it is cropped like the clip that fits it most closely.
    """
    if is_centred(box, pixels):
        return box
    fitting = [other for other in others if _contains(other, box)]
    return min(fitting, key=lambda other: other[2] * other[3], default=box)


def is_centred(box: Box, pixels: tuple[int, int]) -> bool:
    """Return whether the bars left and right, and above and below, are as wide as each other."""
    left, top, width, height = box
    return all(
        abs(2 * first + length - side) <= MIN_BAR * side
        for first, length, side in ((left, width, pixels[0]), (top, height, pixels[1]))
    )


def _contains(outer: Box, inner: Box) -> bool:
    return all(
        outer[axis] <= inner[axis] and inner[axis] + inner[axis + 2] <= outer[axis] + outer[axis + 2] for axis in (0, 1)
    )


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
