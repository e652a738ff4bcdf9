"""MaskGIT (Chang et al. 2022): which tokens are masked in training, and which are unmasked in each sampling step.

Pure functions. Shapes: b clips, n tokens a frame, k codes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["confidence", "num_masked_after", "random_masks", "sample_tokens", "unmask"]

FAINTEST = -80.0  # below it exp is subnormal, and ten times slower
NEVER = 1e-34  # odds, a little above those; float32 sums of odds do not show them


def num_masked_after(step: int, steps: int, tokens: int) -> int:
    """Return how many tokens are still masked after sampling step `step` (from 0) of `steps`, by the cosine schedule.

    >>> [num_masked_after(i, 4, 64) for i in range(4)]
    [59, 45, 24, 0]
    """
    return math.floor(tokens * math.cos(math.pi / 2 * (step + 1) / steps) + 1e-9)


def random_masks(shape: tuple[int, ...], tokens: int, full: float = 0.0, device: torch.device | str = "cpu") -> Tensor:
    """Draw masks for training, with a mask rate for each frame from the cosine schedule.

    A rate for each frame rather than one for the batch cuts the variance of the loss.

    Args:
        shape: Shape of the frames.
        tokens: Tokens a frame.
        full: Share of the frames that are masked completely.
        device: Device of the masks.

    Returns:
        bool (*shape, tokens), True where masked.
    """
    rate = torch.cos(torch.rand(*shape, 1, device=device) * math.pi / 2)
    rate = torch.where(torch.rand_like(rate) < full, 1.0, rate)
    return torch.rand(*shape, tokens, device=device) < rate


def sample_tokens(logits: Tensor, uniform: Tensor, temperature: float, min_p: float = 0.0) -> Tensor:
    """Sample a code for each token by inverting the cumulative distribution.

    Args:
        logits: float (..., k).
        uniform: float (...) in [0, 1), one number a token, so that the noise of one rollout does not depend on others.
        temperature: Divides the logits; 0 takes the likeliest code.
        min_p: Codes less likely than this share of the likeliest are never sampled: many codes, each nearly impossible,
            together spoil a token too often.

    Returns:
        Codes, int64 (...).
    """
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits.float()
    odds = (logits - logits.amax(-1, keepdim=True)).div_(temperature)  # in place, as new memory costs more than sums
    odds = odds.clamp_(min=FAINTEST).exp_()  # relative to the likeliest
    cumulative = F.threshold(odds, max(min_p, NEVER), 0, inplace=True).cumsum_(-1)
    target = (uniform * cumulative[..., -1]).unsqueeze(-1)
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def confidence(logits: Tensor, codes: Tensor) -> Tensor:
    """Return the probability, float (...), of codes int64 (...) under logits (..., k)."""
    return logits.float().softmax(-1).gather(-1, codes.unsqueeze(-1)).squeeze(-1)


def unmask(priority: Tensor, masked: Tensor, keep_masked: int) -> Tensor:
    """Unmask the masked tokens of highest priority.

    Args:
        priority: float (b, n).
        masked: bool (b, n), the tokens masked before.
        keep_masked: How many stay masked.

    Returns:
        bool (b, n), the tokens masked after.
    """
    if keep_masked == 0:
        return torch.zeros_like(masked)
    order = priority.masked_fill(~masked, float("inf")).argsort(-1)
    return torch.zeros_like(masked).scatter_(-1, order[:, :keep_masked], True) & masked
