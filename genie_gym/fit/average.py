"""The moving average of a model's weights, which predicts better than the weights themselves while they still jump."""

import copy

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Follows a model's parameters by an exponential average; buffers (such as codes) are copied.

    Attributes:
        model: the averaged copy, in eval mode.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average by (1 - decay) towards the model.

        At first by more: else the weights that a fit began with would keep a share of decay^step, 22 % after 150 steps
        at 0.99, which with random ones is worse than no average.

        Args:
            step: the number of this update, from 1.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for kept, current in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(current)
