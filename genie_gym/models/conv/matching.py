"""How well shifts of a frame match the one after it (a cost volume, as in networks for optical flow), and the camera's
motion that follows from it.

Shapes: b clips, h frames, s side of a frame in pixels, side tokens along one edge.
"""

import torch
from einops import rearrange, reduce
from torch import Tensor

from genie_gym.models.conv.moved import all_moved
from genie_gym.utils.precision import full_precision

__all__ = ["MATCHED_PAIRS", "SHIFTS", "agreed", "lagging", "matches"]

MATCH_REACH, MATCHED_PAIRS = 4, 2  # furthest shift in pixels that is matched; pairs of frames matched as wholes
SHIFTS = (MATCH_REACH + 1) * (2 * MATCH_REACH + 1)  # every other one down, all to the right
MISMATCH, WHOLE_MISMATCH = 0.05, 0.02  # difference in brightness at which a match is a third of a perfect one
LARGEST_LAG = 1.0
SHARPNESS, NO_MATCH = 0.05, 0.05  # likewise, as a share of the mean, to tell a motion; and beyond which there is none


@torch.no_grad()
def matches(frames: Tensor, patch: int) -> tuple[Tensor, Tensor, Tensor]:
    """How well shifts of a frame match the one after it, from 0 to 1, and how the camera moved by the best ones.

    Args:
        frames: float (b, h, 3, s, s), oldest first. With too few of them, the first counts as standing still.
        patch: Side of a place in pixels.

    Returns:
        float (b, pairs * shifts), of whole frames; float (b, shifts, side, side), in each place of the newest; and the
        motion between the last two float (b, 3): pixels down and right, and whether it is known.
    """
    grey = frames[:, -MATCHED_PAIRS - 1 :].mean(2)
    missing = MATCHED_PAIRS + 1 - grey.shape[1]
    grey = torch.cat([grey[:, :1].expand(-1, missing, -1, -1), grey], 1)
    size = grey.shape[-1]
    # Every other row, and columns averaged by a matrix product: a quarter of the time of the obvious way.
    error = all_moved(grey[:, :-1], MATCH_REACH, every=2).sub_(grey[:, 1:, None, ::2]).abs_()
    columns = rearrange(torch.eye(size // patch, device=grey.device), "q r -> q 1 r").expand(-1, patch, -1) / patch
    with full_precision(grey.device):  # motions below a pixel are differences of nearly equal sums
        places = error @ rearrange(columns, "q p r -> (q p) r").to(error.dtype)
        places = reduce(places, "b i s (y p) x -> b i s y x", "mean", p=patch // 2)
        errors = places.mean((-2, -1))
        motion = _best_shift(errors[:, -1])
    wholes = (-errors / WHOLE_MISMATCH).exp()
    return rearrange(wholes, "b i s -> b (i s)"), (-places[:, -1] / MISMATCH).exp(), motion


def _best_shift(errors: Tensor) -> Tensor:
    """Motion float (b, 3), as `matches` returns it, from the errors (b, shifts) of shifts of a whole frame."""
    down, right = torch.arange(-MATCH_REACH, MATCH_REACH + 1, 2), torch.arange(-MATCH_REACH, MATCH_REACH + 1)
    shifts = torch.cartesian_prod(down, right).to(errors)
    least, mean = errors.amin(1, keepdim=True), errors.mean(1, keepdim=True)
    error = errors + 1e-4 * shifts.abs().sum(1)  # of equally good ones the smallest
    near = (-error / (SHARPNESS * (mean - least) + 2e-4)).softmax(-1)
    known = (least < NO_MATCH).to(errors.dtype)
    return torch.cat([near @ shifts, torch.ones_like(known)], 1) * known


def agreed(measured: Tensor, meant: Tensor) -> Tensor:
    """Of motions (..., 3) those that a prediction meant where the frames do not contradict, and else the measured ones.

    Frames that were predicted tell a slow motion less exactly than the model knew it.
    """
    apart = (measured - meant)[..., :2].abs().amax(-1, keepdim=True)
    return torch.where((meant[..., 2:] > 0) & (measured[..., 2:] > 0) & (apart < 1), meant, measured)


def lagging(before: Tensor, believed: Tensor, measured: Tensor) -> Tensor:
    """How far a frame that was predicted stays behind the motion that was meant, float (..., 2) in pixels.

    Tokens take a frame a whole way or not at all, so that a motion of part of a pixel a step shows in none of them, and
    a level would stand still for ever; what is owed is kept, and the next frame makes up for it.

    Args:
        before: float (..., 2), of the frame before.
        believed: Motions (..., 3) as `agreed` returned them.
        measured: Motions (..., 3) of the frames.
    """
    owed = (before + (believed - measured)[..., :2]).clamp(-LARGEST_LAG, LARGEST_LAG)
    return owed * (believed[..., 2:] > 0)
