"""The moving average of a model's weights, better than the weights themselves while those still change."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["averaged_model"]


def averaged_model(model: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of a model's parameters, in eval mode; buffers such as codes are copied.

    The decay is smaller at first: else the initial weights would keep a share of decay^step, 22 % after 150 steps at
    0.99, which with random weights is worse than no average.
    """

    @torch.no_grad()
    def update(averages: Any, current: Any, updates: Tensor | int) -> None:
        step = int(updates)  # from 1
        torch._foreach_lerp_(averages, current, 1 - min(decay, (1 + step) / (10 + step)))

    average = AveragedModel(model, multi_avg_fn=update)
    average.n_averaged.fill_(1)  # the initial weights are the first average, to be moved rather than replaced
    return average.eval().requires_grad_(False)
