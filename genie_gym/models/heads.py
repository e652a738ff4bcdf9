"""Reward and termination heads, which let an agent learn in imagination."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FrameTermination", "OutcomeHeads", "symexp", "symlog", "two_hot"]


def symlog(x: Tensor) -> Tensor:
    """Return sign(x) log(1 + |x|), which compresses rewards of any scale (Hafner et al. 2023)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """Return the inverse of symlog."""
    return x.sign() * x.abs().expm1()


def two_hot(x: Tensor, bins: Tensor) -> Tensor:
    """Split each value between its two neighbouring bins: float (...) to float (..., bins), rows summing to one."""
    x = x.clamp(bins[0], bins[-1])
    upper = torch.searchsorted(bins, x.contiguous()).clamp(1, len(bins) - 1)
    low, high = bins[upper - 1], bins[upper]
    weight = ((x - low) / (high - low)).unsqueeze(-1)
    size = len(bins)
    return F.one_hot(upper - 1, size) * (1 - weight) + F.one_hot(upper, size) * weight


class OutcomeHeads(nn.Module):
    """Reward and termination of the step that led to a frame, from its features by a learned attention pooling.

    The reward is a distribution over values spaced evenly in symlog, so that one head serves rewards of 1 and of 1000.

    Features are those of a draft, most of which is masked: they tell what was to be expected of the frame. When exactly
    an episode ends is often not to be expected, but plain to see in the frame, so that the termination can be read from
    the codes of its tokens as well.

    Args:
        dim: Width of the features.
        num_bins: Number of reward values.
        code_dim: Width of the codes that the termination is read from besides the features; None for the features
            alone.

    Attributes:
        bins: float (num_bins,), the reward values in symlog space, from -10 to 10 (rewards of +-22,000).
    """

    bins: Tensor

    def __init__(self, dim: int, num_bins: int = 41, code_dim: int | None = None):
        super().__init__()
        self.score = nn.Linear(dim, 1)
        self.hidden = nn.Linear(dim, dim)
        self.reward = _zero_linear(dim, num_bins)
        self.termination = _zero_linear(dim, 1) if code_dim is None else FrameTermination(dim, code_dim)
        self.register_buffer("bins", torch.linspace(-10, 10, num_bins), persistent=False)

    def forward(self, features: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return reward logits (..., num_bins) and termination logits (...).

        Args:
            features: float (..., n, d), of a draft of the frame.
            codes: float (..., n, c), those of the frame's tokens.
        """
        pooled = (self.score(features).softmax(-2) * features).sum(-2)
        hidden = F.silu(self.hidden(pooled))
        if isinstance(self.termination, FrameTermination):
            return self.reward(hidden), self.termination(features, codes)
        return self.reward(hidden), self.termination(hidden).squeeze(-1)

    def expected(self, logits: Tensor) -> Tensor:
        """Return the expected reward, in the game's own unit, of reward logits (..., num_bins)."""
        return (logits.float().softmax(-1) * symexp(self.bins)).sum(-1)

    def loss(self, features: Tensor, codes: Tensor, rewards: Tensor, terminated: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropies of reward and termination; rewards float (...), terminated bool (...)."""
        reward, termination = self(features, codes)
        # Split between the values themselves, not their symlogs, so that the mean of the target is the reward.
        target = two_hot(rewards.float(), symexp(self.bins))
        return F.cross_entropy(reward.flatten(0, -2).float(), target.flatten(0, -2)), (
            F.binary_cross_entropy_with_logits(termination.float(), terminated.float())
        )


class FrameTermination(nn.Module):
    """Whether an episode ended with a frame, from what was expected of the frame and from what it shows.

    Args:
        dim: Width of the features.
        code_dim: Width of the codes.
    """

    def __init__(self, dim: int, code_dim: int):
        super().__init__()
        self.join = nn.Linear(dim + code_dim, dim)
        self.score = nn.Linear(dim, 1)
        self.hidden = nn.Linear(dim, dim)
        self.logit = _zero_linear(dim, 1)

    def forward(self, features: Tensor, codes: Tensor) -> Tensor:
        """Return logits (...) of features (..., n, d) of a draft of the frame, and the codes (..., n, c) of it."""
        tokens = F.silu(self.join(torch.cat([features, codes.to(features.dtype)], -1)))
        pooled = (self.score(tokens).softmax(-2) * tokens).sum(-2)
        return self.logit(F.silu(self.hidden(pooled))).squeeze(-1)


def _zero_linear(dim: int, out: int) -> nn.Linear:
    """A head that starts by predicting that nothing happened, which is nearly always true."""
    layer = nn.Linear(dim, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
