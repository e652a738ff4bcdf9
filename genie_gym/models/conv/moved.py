"""Pictures moved by a few pixels in every way, their edges repeated.

Shapes: s side of a frame in pixels, o offsets: down, and for each of these right.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["all_moved", "is_being_compiled", "moved"]


def moved(frames: Tensor, reach: int, every: int = 1) -> Iterator[Tensor]:
    """Return views of frames (..., s, s), moved by -reach to reach pixels in both directions, one for each offset.

    Of `every` rows they show the first, and of as many offsets down there is one: (..., s / every, s).
    """
    padded, size = _with_edges_repeated(frames, reach), frames.shape[-1]
    for down in range(0, 2 * reach + 1, every):
        rows = padded[..., down : down + size : every, :]
        for right in range(2 * reach + 1):
            yield rows.narrow(-1, right, size)


def all_moved(frames: Tensor, reach: int, every: int = 1) -> Tensor:
    """Return what `moved` does as one new tensor (..., o, s / every, s)."""
    if not is_being_compiled():
        return torch.stack(list(moved(frames, reach, every)), -3)
    size = frames.shape[-1]
    views = _with_edges_repeated(frames, reach).unfold(-2, size, every).unfold(-2, size, 1)
    return views[..., ::every, :].flatten(-4, -3).clone()


def is_being_compiled() -> bool:
    """Return whether `torch.compile` reads this code.

    It makes one loop of a view of all offsets, and minutes of work of a slice for each. Uncompiled, such a view would
    be copied into another order, which takes several times as long as what is done with it; and ONNX has none.
    """
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()


def _with_edges_repeated(frames: Tensor, reach: int) -> Tensor:
    """Frames (..., s + 2 * reach, s + 2 * reach); joined, as torch 2.13 cannot compile padding of what a table gave."""
    for axis in (-2, -1):
        first, last = (frames.narrow(axis, at, 1) for at in (0, frames.shape[axis] - 1))
        frames = torch.cat([*[first] * reach, frames, *[last] * reach], axis)
    return frames
