"""Convolutional building blocks whose kernels are matrices, so that Muon can train them.

Shapes: b frames, c channels, h rows, w columns, e width of a condition, a actions, r channels of a memory.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

__all__ = ["Attention", "Conv", "GatedMemory", "Residual", "patches_of", "pixels_of"]

ATTENTION_HEADS = 4


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
        self.weight.is_kernel = True  # type: ignore[attr-defined]  # Muon trains these, and these alone
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


class Attention(nn.Module):
    """Self-attention over all places of a picture, added to it; at first nothing.

    Args:
        channels: Channels, a multiple of `ATTENTION_HEADS`.
        side: Rows and columns of the picture.
    """

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.position = nn.Parameter(torch.randn(channels, side, side) * 0.02)
        self.norm = nn.GroupNorm(1, channels)
        self.inputs, self.output = Conv(channels, 3 * channels, 1), Conv(channels, channels, 1, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, float (b, c, h, w), with what each place attended to."""
        inputs = self.inputs(self.norm(x + self.position))
        q, k, v = rearrange(inputs, "b (i m c) y x -> i b m (y x) c", i=3, m=ATTENTION_HEADS)
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.output(rearrange(attended, "b m (y x) c -> b (m c) y x", y=x.shape[2]))


class GatedMemory(nn.Module):
    """What is known of the past beyond the last frames, such as a speed too low to move a token: a gated convolution.

    Args:
        channels: Channels of what is seen.
        memory: Channels of the memory.
        num_actions: Number of actions.
    """

    def __init__(self, channels: int, memory: int, num_actions: int):
        super().__init__()
        self.inputs = Conv(channels + memory, 2 * memory)
        self.act = nn.Linear(num_actions, 2 * memory, bias=False)

    def forward(self, memory: Tensor, seen: Tensor, action: Tensor) -> Tensor:
        """Return the memory float (b, r, h, w) after a frame, seen as float (b, c, h, w), that an action led to.

        The action is one-hot, float (b, a).
        """
        both = self.inputs(torch.cat([F.silu(seen), memory], 1)) + self.act(action)[:, :, None, None]
        new, gate = both.to(memory.dtype).chunk(2, 1)  # autocast's products are bfloat16
        return torch.lerp(memory, new.tanh(), gate.sigmoid())


def patches_of(frames: Tensor, patch: int) -> Tensor:
    """Return square patches as channels: (..., 3, h * p, w * p) to (..., 3 * p * p, h, w)."""
    return rearrange(frames, "... k (h p) (w q) -> ... (k p q) h w", p=patch, q=patch)


def pixels_of(patches: Tensor, patch: int) -> Tensor:
    """Return the inverse of `patches_of`: (..., k * p * p, h, w) to (..., k, h * p, w * p)."""
    return rearrange(patches, "... (k p q) h w -> ... k (h p) (w q)", p=patch, q=patch)
