"""Reward and end-of-episode heads: what lets an agent learn inside a dream."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["OutcomeHeads", "symexp", "symlog", "two_hot"]


def symlog(x: Tensor) -> Tensor:
    """sign(x) log(1 + |x|): squashes rewards of any scale (Hafner et al. 2023)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """Inverse of symlog."""
    return x.sign() * x.abs().expm1()


def two_hot(x: Tensor, bins: Tensor) -> Tensor:
    """Splits each value between its two neighbouring bins: float (...) to float (..., bins), rows summing to one."""
    x = x.clamp(bins[0], bins[-1])
    upper = torch.searchsorted(bins, x.contiguous()).clamp(1, len(bins) - 1)
    low, high = bins[upper - 1], bins[upper]
    weight = ((x - low) / (high - low)).unsqueeze(-1)
    size = len(bins)
    return F.one_hot(upper - 1, size) * (1 - weight) + F.one_hot(upper, size) * weight


class OutcomeHeads(nn.Module):
    """Reads reward and end of the episode off a frame's features, through one learned attention pooling.

    The reward is a distribution over values spaced evenly in symlog, so that one head fits rewards of 1 and of 1000.

    Attributes:
        bins: float (rewards,), the values in symlog space, from -10 to 10 (rewards of +-22,000).
    """

    bins: Tensor

    def __init__(self, dim: int, rewards: int = 41):
        super().__init__()
        self.score = nn.Linear(dim, 1)
        self.hidden = nn.Linear(dim, dim)
        self.reward = nn.Linear(dim, rewards)
        self.end = nn.Linear(dim, 1)
        # A head that starts at zero predicts "nothing happened", which is nearly always true.
        for layer in (self.reward, self.end):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("bins", torch.linspace(-10, 10, rewards), persistent=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (..., n, d) to reward logits (..., rewards) and end logits (...)."""
        pooled = (self.score(features).softmax(-2) * features).sum(-2)
        hidden = F.silu(self.hidden(pooled))
        return self.reward(hidden), self.end(hidden).squeeze(-1)

    def expected(self, logits: Tensor) -> Tensor:
        """Mean reward of reward logits (..., rewards), in the game's own unit."""
        return (logits.float().softmax(-1) * symexp(self.bins)).sum(-1)

    def loss(self, features: Tensor, rewards: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropies of reward and end; rewards float (...), ends bool (...)."""
        reward, end = self(features)
        # Split between the values themselves, not their symlogs, so that the mean of the target is the reward.
        target = two_hot(rewards.float(), symexp(self.bins))
        return F.cross_entropy(reward.flatten(0, -2).float(), target.flatten(0, -2)), (
            F.binary_cross_entropy_with_logits(end.float(), ends.float())
        )
