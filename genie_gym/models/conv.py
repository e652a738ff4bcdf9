"""Convolutional building blocks whose kernels are matrices, so that Muon can train them.

Shapes: b frames, c channels, h rows, w columns, e width of a condition.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

__all__ = ["Conv", "Residual", "patches_of", "pixels_of"]


class Conv(nn.Module):
    """A convolution that keeps height and width, or divides both by its stride.

    Its weights are a matrix, float (c_out, c_in * kernel^2): Muon orthogonalises matrices.

    Args:
        channels: Channels of the input.
        out: Channels of the output.
        kernel: Side of the kernel.
        stride: Stride; with an even kernel, the side of the kernel.
        zero: Whether to start at zero, so that what the layer is added to is unchanged at first.
    """

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1, zero: bool = False):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        start = nn.Conv2d(channels, out, kernel)
        self.weight = nn.Parameter(rearrange(start.weight.detach(), "o i h w -> o (i h w)").contiguous())
        self.bias = nn.Parameter(start.bias.detach())  # type: ignore[union-attr]
        if zero:
            nn.init.zeros_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, float (b, c, h, w)."""
        k = self.kernel
        weight = rearrange(self.weight, "o (i h w) -> o i h w", h=k, w=k)
        x = x.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs
        return F.conv2d(x, weight, self.bias, self.stride, k // 2 if k % 2 else 0)


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))), scaled and shifted by a condition if there is one; at first the identity.

    Args:
        channels: Channels of input and output.
        condition: Width of the condition, 0 for none.
    """

    def __init__(self, channels: int, condition: int = 0):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels) if condition else None
        self.modulation = nn.Linear(condition, 2 * channels) if condition else None
        self.first, self.second = Conv(channels, channels), Conv(channels, channels, zero=True)
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the block's output of x, float (b, c, h, w), and of a condition, float (b, e)."""
        inner = x
        if self.modulation is not None and self.norm is not None and condition is not None:
            scale, shift = rearrange(self.modulation(condition), "b (k c) -> k b c 1 1", k=2)
            inner = self.norm(x) * (1 + scale) + shift
        return x + self.second(F.silu(self.first(F.silu(inner))))


def patches_of(frames: Tensor, patch: int) -> Tensor:
    """Return square patches as channels: (..., 3, h * p, w * p) to (..., 3 * p * p, h, w)."""
    return rearrange(frames, "... k (h p) (w q) -> ... (k p q) h w", p=patch, q=patch)


def pixels_of(patches: Tensor, patch: int) -> Tensor:
    """Return the inverse of `patches_of`: (..., k * p * p, h, w) to (..., k, h * p, w * p)."""
    return rearrange(patches, "... (k p q) h w -> ... k (h p) (w q)", p=patch, q=patch)
