"""MaskGIT (Chang et al. 2022): how many tokens to hide in training, and which to settle at each sampling step.

Pure functions. Shapes: b clips, n tokens a frame, k codes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["confidence", "masked_after", "random_masks", "sample_tokens", "settle"]


def masked_after(step: int, steps: int, tokens: int) -> int:
    """Tokens still hidden after sampling step `step` of `steps` (from 0), by the cosine schedule; 0 after the last.

    >>> [masked_after(i, 4, 64) for i in range(4)]
    [59, 45, 24, 0]
    """
    return math.floor(tokens * math.cos(math.pi / 2 * (step + 1) / steps) + 1e-9)


def random_masks(shape: tuple[int, ...], tokens: int, full: float = 0.0, device: torch.device | str = "cpu") -> Tensor:
    """Masks bool (*shape, tokens), True hidden: a rate for each entry of `shape` from the cosine schedule.

    A rate for each frame rather than one a batch cuts the variance of the loss. A share `full` of the entries is
    hidden whole.
    """
    rate = torch.cos(torch.rand(*shape, 1, device=device) * math.pi / 2)
    rate = torch.where(torch.rand_like(rate) < full, 1.0, rate)
    return torch.rand(*shape, tokens, device=device) < rate


def sample_tokens(logits: Tensor, uniform: Tensor, temperature: float, floor: float = 0.0) -> Tensor:
    """Draws a code for each token by inverting the cumulative distribution.

    Args:
        logits: float (..., k).
        uniform: float (...) in [0, 1), one number a token: a dream's noise does not depend on its neighbours.
        temperature: divides the logits; 0 takes the likeliest code.
        floor: codes less likely than this share of the likeliest are never drawn: many codes, each next to
            impossible, together spoil a token too often.

    Returns:
        codes int64 (...).
    """
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits.float()
    odds = (logits - logits.amax(-1, keepdim=True)).div_(temperature).exp_()  # over those of the likeliest
    cumulative = F.threshold(odds, floor, 0).cumsum(-1)
    target = (uniform * cumulative[..., -1]).unsqueeze(-1)
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def confidence(logits: Tensor, codes: Tensor) -> Tensor:
    """Probability float (...) that a model gives to codes int64 (...), from its logits (..., k)."""
    return logits.float().softmax(-1).gather(-1, codes.unsqueeze(-1)).squeeze(-1)


def settle(priority: Tensor, hidden: Tensor, keep_hidden: int) -> Tensor:
    """Which hidden tokens stay hidden: the `keep_hidden` of lowest priority.

    Args:
        priority: float (b, n); tokens of high priority are settled first.
        hidden: bool (b, n), hidden before.
        keep_hidden: how many stay hidden.

    Returns:
        bool (b, n), hidden after.
    """
    if keep_hidden == 0:
        return torch.zeros_like(hidden)
    order = priority.masked_fill(~hidden, float("inf")).argsort(-1)
    return torch.zeros_like(hidden).scatter_(-1, order[:, :keep_hidden], True) & hidden
