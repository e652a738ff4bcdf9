"""Uncertainty of a model about a frame's tokens (paper section 4, equations 2 to 4).

Pure functions. Shapes: n tokens a frame, k codes.
"""

import math

import torch
from torch import Tensor

__all__ = ["action_information", "token_entropy", "top_mean"]


def token_entropy(logits: Tensor) -> Tensor:
    """Return equation 2, the entropy of each token's distribution over the k codes, as 2 H / ln k.

    The paper prints the sum without its sign and over N_e; the range it states, 0 to 2, is that of this formula.

    Args:
        logits: float (..., k).

    Returns:
        float32 (...), 0 if the model is certain, 2 if all codes are equally likely.
    """
    probabilities = logits.float().softmax(-1)
    return torch.special.entr(probabilities).sum(-1) * (2 / math.log(logits.shape[-1]))


def action_information(logits: Tensor) -> Tensor:
    """Return how much the action tells about each token: H(mean over actions) - mean of H, in units of equation 2.

    It is 0 where the model predicts the same whatever the player does, however uncertain it is: of things that move by
    themselves.

    Args:
        logits: float (a, ..., k), for each of a actions.

    Returns:
        float32 (...), from 0 to the entropy of the mean.
    """
    mean = logits.float().softmax(-1).mean(0)
    return (token_entropy(mean.log()) - token_entropy(logits).mean(0)).clamp(min=0)


def top_mean(values: Tensor, quantile: float = 0.75) -> Tensor:
    """Return equations 3 and 4, the mean of the values at or above a quantile.

    Args:
        values: float (..., n).
        quantile: From 0 (mean of all) to 1 (largest value); 0.75 takes the top quarter.

    Returns:
        float (...).
    """
    n = values.shape[-1]
    below = math.ceil(quantile * (n - 1) - 1e-9)  # how many lie below the quantile, ties apart
    return values.topk(n - below, -1).values.mean(-1)
