"""What moves by itself: each block of the last frame goes on as it moved before, or as features say.

Finn et al. 2016 call it dynamic neural advection.

Shapes: b frames, s side of a frame in pixels, g blocks along one edge, o offsets.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.conv.layers import Conv
from genie_gym.models.conv.moved import all_moved, is_being_compiled, moved
from genie_gym.utils.precision import full_precision

__all__ = ["LocalMotion"]

BLOCK = 2  # pixels along the edge of what moves as one
REACH = 4  # pixels that a block moves at most, in any direction
SIDE = 2 * REACH + 1
AROUND = 2  # pixels around a block that tell how it moved
TRUST, REST = 5.7, 1.5  # how much a mismatch counts at first, as a logarithm; and a pixel of motion


class LocalMotion(nn.Module):
    """The last frame, of which each block is a mixture of its surroundings, moved by up to `REACH` pixels.

    The mixture starts as that motion which explains the block best in the step before: what moves goes on moving.
    Shifts of the whole frame are too few for many things that move, and which of them a thing needs is hard to find
    among features of the whole picture.

    Args:
        fine: Channels of the features, one place a patch.
        patch: Side of a patch in pixels.
        size: Side of a frame in pixels.
    """

    window: Tensor

    def __init__(self, fine: int, patch: int, size: int):
        super().__init__()
        self.blocks = patch // BLOCK
        self.to_kernel = Conv(fine, SIDE**2 * self.blocks**2, 1, zero=True)
        self.trust = nn.Parameter(torch.tensor(TRUST))
        away = torch.cartesian_prod(*[torch.arange(-REACH, REACH + 1.0)] * 2).abs().sum(1)
        self.rest = nn.Parameter(-REST * away)
        self.register_buffer("window", _window_means(size), persistent=False)

    def forward(self, pair: Tensor, fine: Tensor) -> Tensor:
        """Return frames (b, 3, s, s).

        Args:
            pair: The last two frames, float (b, 2, 3, s, s).
            fine: Features, float (b, c, s / patch, s / patch).
        """
        own = F.pixel_shuffle(self.to_kernel(fine), self.blocks)
        # On a CPU a few at once: what is held of many is more than its cache, and takes twice the time.
        few = pair.device.type == "cpu" and not is_being_compiled()
        at_once = 4 if few else max(1, len(pair))
        pieces = zip(pair.split(at_once), own.split(at_once), strict=True)
        return torch.cat([self._go_on(*piece) for piece in pieces])

    def _go_on(self, pair: Tensor, own: Tensor) -> Tensor:
        before, last = pair.unbind(1)
        mismatch = self.trust.exp() * self.mismatches(before, last)
        kernel = (own + rearrange(self.rest, "o -> o 1 1") - mismatch).softmax(1)
        return _mixture(last, kernel)

    @torch.no_grad()
    def mismatches(self, before: Tensor, last: Tensor) -> Tensor:
        """Return how far each block and what lies around it are from the frame before, moved: float (b, o, g, g)."""
        error = all_moved(before, REACH).sub_(last[:, :, None]).abs_().mean(1)
        with full_precision(last.device):
            return self.window @ error @ self.window.T


def _mixture(frames: Tensor, kernel: Tensor) -> Tensor:
    """Frames (b, 3, s, s), each block of them a mixture (b, o, g, g) of its surroundings."""
    columns = torch.stack([kernel.to(frames.dtype)] * BLOCK, -1).flatten(-2)  # faster than repeating, in training twice
    weights = torch.stack([columns] * BLOCK, -2).flatten(-3, -2)
    if is_being_compiled():
        return (all_moved(frames, REACH) * weights[:, None]).sum(2)
    mixed = torch.zeros_like(frames)
    for one, weight in zip(moved(frames, REACH), weights.split(1, 1), strict=True):
        mixed.addcmul_(one, weight)
    return mixed


def _window_means(size: int) -> Tensor:
    """A matrix float (g, s) that means the pixels of each block and of those around it, which lie within a frame."""
    pixel, first = torch.arange(size), torch.arange(0, size, BLOCK)[:, None]
    inside = ((pixel >= first - AROUND) & (pixel < first + BLOCK + AROUND)).float()
    return inside / inside.sum(1, keepdim=True)
