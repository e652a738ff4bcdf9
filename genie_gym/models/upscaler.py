"""Super-resolution: a U-Net that draws a small picture anew, several times as high and wide (64x64 to 256x256 as in the
paper, section 4).

Shapes: b pictures of height h and width w, k scale.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.frames import from_model, to_model

__all__ = ["Upscaler", "UpscalerConfig"]

TOGETHER = 16  # pictures drawn at once, which bounds the memory that a large batch of dreams takes
SMALL = 0.03  # errors below eight levels of colour count by their square


@dataclass(frozen=True)
class UpscalerConfig:
    """Sizes of the upscaler.

    Attributes:
        widths: channels at each level; level i works at 1 / 2^i of the small picture's size, which must be a multiple
            of 2^(levels - 1).
        blocks: residual blocks at each level, on the way down and on the way up again.
        scale: how many times as high and wide the result is.
    """

    widths: tuple[int, ...] = (32, 64, 96)
    blocks: int = 1
    scale: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON makes a list of it


class Upscaler(nn.Module):
    """A U-Net over the small picture. All its layers work at the small picture's size or below, and only the last one
    spreads its channels over the large picture's pixels, so that a frame costs little. It adds to the picture enlarged
    bicubically, which it gives as it is before training.
    """

    def __init__(self, config: UpscalerConfig):
        super().__init__()
        self.config = config
        *above, lowest = config.widths
        steps = list(zip(config.widths, config.widths[1:], strict=False))  # from each level to the one below
        self.enter = _conv(3, config.widths[0])
        self.down = nn.ModuleList(_blocks(width, config.blocks) for width in above)
        self.shrink = nn.ModuleList(nn.Conv2d(width, below, 2, stride=2) for width, below in steps)
        self.bottom = _blocks(lowest, config.blocks)
        self.grow = nn.ModuleList(_grow(below, width) for width, below in reversed(steps))
        self.up = nn.ModuleList(_blocks(width, config.blocks) for width in reversed(above))
        last = _conv(config.widths[0], 3 * config.scale**2)
        nn.init.zeros_(last.weight)
        self.leave = nn.Sequential(last, nn.PixelShuffle(config.scale))

    def enlarge(self, frames: Tensor) -> Tensor:
        """Float frames (b, 3, h, w) in [0, 1] to float (b, 3, k h, k w), not clipped."""
        frames = frames.contiguous(memory_format=torch.channels_last)  # or else pictures from elsewhere round otherwise
        features, kept = self.enter(frames), []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            kept.append(blocks(features))
            features = shrink(kept[-1])
        features = self.bottom(features)
        for blocks, grow in zip(self.up, self.grow, strict=True):
            features = blocks(grow(features) + kept.pop())  # added, not stacked: half the work
        return F.interpolate(frames, scale_factor=float(self.config.scale), mode="bicubic") + self.leave(features)

    @torch.no_grad()
    def upscale(self, frames: Tensor) -> Tensor:
        """uint8 (n, h, w, 3) to uint8 (n, k h, k w, 3); the same picture always gives the same."""
        return torch.cat([from_model(self.enlarge(to_model(some))) for some in frames.split(TOGETHER)])

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """How far the pictures drawn are from the real ones.

        Args:
            batch: "low", float (b, 3, h, w), and "high", float (b, 3, k h, k w), in [0, 1].

        Returns:
            scalar loss and scalar "mse". The loss is the mean absolute error, in which small ones count by their square
            (Charbonnier, as in Lai et al. 2017). A hundred steps more on CoinRun brought 1.9 dB above bicubic with it,
            1.6 with the absolute error, and an SSIM above that of the square alone.
        """
        error = (self.enlarge(batch["low"]) - batch["high"]).float()
        return (error.square() + SMALL**2).sqrt().mean(), {"mse": error.square().mean().detach()}


class _Residual(nn.Module):
    """Two convolutions that add to what they are given, nothing at first."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = _conv(width, width), _conv(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.relu(self.first(F.relu(features))))


def _grow(width: int, out: int) -> nn.Sequential:
    """To twice the height and width."""
    return nn.Sequential(nn.Conv2d(width, 4 * out, 1), nn.PixelShuffle(2))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(count)))


def _conv(width: int, out: int) -> nn.Conv2d:
    """3 x 3, of the same size as what it is given."""
    layer = nn.Conv2d(width, out, 3, padding=1)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
