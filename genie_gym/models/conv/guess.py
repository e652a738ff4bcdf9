"""The guess of the next frame: the last one, shifted copies of it (as Finn et al. 2016), its blocks as each moves by
itself, and painted pixels, blended.

Shapes: b frames, s side of a frame in pixels, m shifts, o offsets of a shift.
"""

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn

from genie_gym.models.conv.layers import Conv, pixels_of
from genie_gym.models.conv.local_motion import LocalMotion

__all__ = ["FrameGuess", "camera_loss", "expected_motion"]


class FrameGuess(nn.Module):
    """The guess of the next frame: the last one, shifted copies of it, its blocks as each moves by itself, and painted
    pixels, blended pixel by pixel.

    Args:
        size: Side of a frame in pixels.
        patch: Side of a patch in pixels.
        fine: Channels of the features, one place a patch.
        coarse: Channels of the features at half that resolution.
        action: Width of what is known of the actions.
        told: Numbers that say which actions were taken and how the camera moved.
        shifts: Shifted copies of the last frame.
        reach: Furthest shift in pixels.
        local_motion: Whether blocks may move by themselves.
    """

    offsets: Tensor
    steps: Tensor

    def __init__(
        self,
        size: int,
        patch: int,
        fine: int,
        coarse: int,
        action: int,
        told: int,
        shifts: int,
        reach: int,
        local_motion: bool = True,
    ):
        super().__init__()
        self.patch, self.shifts = patch, shifts
        self.norm = nn.LayerNorm(16 * coarse)  # or large features soon silence the hidden layer for good
        self.to_shifts = nn.Sequential(
            nn.Linear(16 * coarse + action, 256), nn.SiLU(), nn.Linear(256, 2 * shifts * (2 * reach + 1))
        )
        # Buttons and speed alone say most of how the camera goes on. By a path of their own that is learned in hundreds
        # of steps; among the features of pictures it is not found in thousands.
        self.from_buttons = nn.Sequential(nn.Linear(told, 256), nn.SiLU(), nn.Linear(256, 2 * (2 * reach + 1)))
        self.local = LocalMotion(fine, patch, size) if local_motion else None
        self.to_blend = Conv(fine, (shifts + 2 + local_motion) * patch**2, 1)
        self.to_paint = Conv(fine, 3 * patch**2, 1)
        with torch.no_grad():  # at first mostly the last frame
            self.to_blend.bias[: patch**2] += 2.0
        self.inertia = nn.Parameter(torch.full((2,), 0.7))
        self.register_buffer("offsets", torch.arange(-reach, reach + 1.0), persistent=False)
        self.register_buffer("steps", _shift_matrices(reach, size), persistent=False)

    def forward(
        self, pair: Tensor, lag: Tensor, camera: Tensor, told: Tensor, action: Tensor, coarse: Tensor, fine: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the guess (b, 3, s, s) from the last two frames (b, 2, 3, s, s), actions, and features of both kinds.

        Beside it stand the logits (b, 2, offsets) of the first shift, down and right. It starts from the camera's
        motion before, (b, 3) as `matches` returns it: what moves goes on moving, and what rests stays at rest. All
        shifts go further by `lag` (b, 2), how far the last frame stays behind what was meant.
        """
        last = pair[:, 1]
        pooled = self.norm(rearrange(F.adaptive_avg_pool2d(coarse, 4), "b c y x -> b (c y x)"))
        logits = rearrange(self.to_shifts(torch.cat([pooled, action], 1)), "b (i m o) -> i b m o", i=2, m=self.shifts)
        going_on = self._going_on(camera) + rearrange(self.from_buttons(told), "b (i o) -> i b o", i=2)
        logits = torch.cat([logits[:, :, :1] + going_on[:, :, None], logits[:, :, 1:]], 2)
        down, right = einsum(logits.softmax(-1), self.steps, "i b m o, o source target -> i b m source target")
        meant = self._shifted_by(last, lag)
        shifted = einsum(down, meant, right, "b m y to_y, b k y x, b m x to_x -> b m k to_y to_x")
        paint = pixels_of(self.to_paint(fine), self.patch) + 0.5
        blend = pixels_of(self.to_blend(fine), self.patch).softmax(1)[:, :, None]
        local = [] if self.local is None else [self.local(pair, fine)[:, None]]
        sources = torch.cat([last[:, None], shifted, *local, paint[:, None]], 1)
        return (blend * sources).sum(1), rearrange(logits[:, :, 0], "i b o -> b i o")

    def _shifted_by(self, frames: Tensor, by: Tensor) -> Tensor:
        """Frames (b, 3, s, s) shifted by parts of pixels (b, 2), down and right, which lie between whole ones."""
        shares = (1 - (self.offsets - rearrange(by, "b i -> i b 1")).abs()).clamp(min=0)
        down, right = einsum(shares, self.steps, "i b o, o source target -> i b source target")
        return einsum(down, frames, right, "b y to_y, b k y x, b x to_x -> b k to_y to_x")

    def _going_on(self, camera: Tensor) -> Tensor:
        """Logits (2, b, offsets) of the motion before, down and right."""
        distance = rearrange(camera[:, :2], "b i -> i b 1") - self.offsets
        return -rearrange(self.inertia.exp(), "i -> i 1 1") * distance.abs() * camera[:, 2:]


def camera_loss(logits: Tensor, camera: Tensor, reach: int) -> Tensor:
    """Cross-entropy of logits (..., 2, 2 * reach + 1) of whole pixels to motions (..., 2) between them, where known."""
    known = camera.isfinite().all(-1)
    place = (camera[known] + reach).clamp(0, 2 * reach)
    low = place.long().clamp(max=2 * reach - 1)
    likely = logits[known].float().log_softmax(-1)
    below, above = (likely.gather(-1, (low + i)[..., None])[..., 0] for i in (0, 1))
    return -torch.lerp(below, above, place - low).sum() / max(1, known.numel())


def expected_motion(logits: Tensor) -> Tensor:
    """Return the motion float (b, 3) that logits (b, 2, offsets) mean: pixels down and right, and that it is known."""
    reach = logits.shape[-1] // 2
    offsets = torch.arange(-reach, reach + 1, device=logits.device)
    expected = (logits.float().softmax(-1) * offsets).sum(-1)
    return torch.cat([expected, torch.ones_like(expected[:, :1])], 1)


def _shift_matrices(reach: int, size: int) -> Tensor:
    """Return matrices float (2 * reach + 1, size, size) that shift a row of pixels, repeating it at its ends."""
    target = torch.arange(size)
    source = (target + torch.arange(-reach, reach + 1)[:, None]).clamp(0, size - 1)
    return rearrange(F.one_hot(source, size).float(), "o target source -> o source target")
