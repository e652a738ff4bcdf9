"""What moves in a clip: the camera, and the pixels that changed otherwise than by its motion.

Shapes: b clips, t frames, f pairs of frames, h rows, w columns, n = (h / patch) * (w / patch) tokens a frame.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

__all__ = ["REACH", "camera_and_independent_tokens", "changed_tokens"]

REACH = 4  # furthest camera motion between two frames that is looked for, in pixels
TOLERANCE = 24  # of 255, a difference that compression of a moving picture to few pixels may cause
LARGEST_ERROR = 12  # mean difference, of 255, beyond which a frame is no shift of the one before


def changed_tokens(pixels: Tensor, patch: int, threshold: int = 5) -> Tensor:
    """Return the tokens over pixels that changed since the previous frame.

    Args:
        pixels: uint8 (b, t, h, w, 3).
        patch: Side of a token in pixels.
        threshold: Largest change of a pixel that counts as none, of 255.

    Returns:
        bool (b, t, n), False in the first frame.
    """
    change = (pixels[:, 1:].int() - pixels[:, :-1].int()).abs().amax(-1)
    return _tokens_over(change > threshold, patch)


def camera_and_independent_tokens(pixels: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Return the camera's motion, and the tokens that moved otherwise: characters, and what comes into view.

    The camera's motion is the shift of the whole previous frame that is nearest to a frame. Since it seldom is a whole
    number of pixels, the best shift a pixel beside it is taken too, and what lies between their colours is explained.

    Args:
        pixels: uint8 (b, t, h, w, 3), h and w larger than 2 * REACH.
        patch: Side of a token in pixels.

    Returns:
        Pixels by which the camera moved down and right since the previous frame, float (b, t, 2), not a number where a
        frame is no shift of the one before, as in the first; and tokens, bool (b, t, n), False in the first frame.
    """
    frames = rearrange(pixels, "b t h w k -> b t k h w").float()
    before, after = (rearrange(x, "b t k h w -> (b t) k h w") for x in (frames[:, :-1], frames[:, 1:]))
    camera, first, second = _nearest_shifts(before, after)
    low, high = torch.minimum(first, second) - TOLERANCE, torch.maximum(first, second) + TOLERANCE
    unexplained = ((after < low) | (after > high)).any(1)
    unexplained, camera = (rearrange(x, "(b t) ... -> b t ...", b=len(pixels)) for x in (unexplained, camera))
    camera = torch.cat([torch.full_like(camera[:, :1], torch.nan), camera], 1)
    return camera, _tokens_over(unexplained, patch) & changed_tokens(pixels, patch)  # a display stays where it is


def _nearest_shifts(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The camera's motion float (f, 2), and the two shifts of frames float (f, 3, h, w) that are next to it."""
    height, width = before.shape[2:]
    padded = F.pad(before, (REACH,) * 4, mode="replicate")
    inner = slice(REACH, -REACH)  # what came into view is no shift of anything
    grey, target = padded.mean(1), after.mean(1)[:, inner, inner][:, ::2]
    corners = torch.cartesian_prod(*[torch.arange(2 * REACH + 1)] * 2)  # (s, 2)
    tall, wide = height - 2 * REACH, width - 2 * REACH
    errors = [
        (grey[:, y + REACH :, x + REACH :][:, :tall:2, :wide] - target).abs().mean((1, 2)) for y, x in corners.tolist()
    ]
    corners = corners.to(before.device)
    error = torch.stack(errors, 1) + 0.01 * (corners - REACH).abs().sum(1)  # of equally good shifts the smallest
    nearest = error.argmin(1)
    distance = (corners - corners[nearest, None]).abs().amax(-1)
    beside = error.masked_fill(distance != 1, torch.inf).argmin(1)

    def shifted(chosen: Tensor) -> Tensor:
        places = zip(padded, corners[chosen].tolist(), strict=True)
        return torch.stack([frame[:, y : y + height, x : x + width] for frame, (y, x) in places])

    first, second = shifted(nearest), shifted(beside)
    apart, wanted = (x[:, :, inner, inner].flatten(1) for x in (second - first, after - first))
    part = (apart * wanted).sum(1, keepdim=True) / apart.square().sum(1, keepdim=True).clamp(min=1)  # least squares
    part = part.clamp(0, 1)
    camera = torch.lerp(corners[nearest].float(), corners[beside].float(), part) - REACH
    unknown = (wanted - part * apart).abs().mean(1, keepdim=True) > LARGEST_ERROR
    return camera.masked_fill(unknown, torch.nan), first, second


def _tokens_over(marked: Tensor, patch: int) -> Tensor:
    """Tokens that hold a marked pixel: bool (b, t - 1, h, w) to (b, t, n), False in the first frame."""
    held = reduce(marked.byte(), "b t (y p) (x q) -> b t (y x)", "max", p=patch, q=patch).bool()
    return torch.cat([torch.zeros_like(held[:, :1]), held], 1)
