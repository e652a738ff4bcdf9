"""The moving average of a model's weights, better than the weights themselves while those still change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["averaged_model", "move_average", "whole_average"]


def averaged_model(model: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of a model's parameters, in eval mode; buffers such as codes are copied."""

    def update(averages: Any, current: Any, updates: Tensor | int) -> None:
        move_average(averages, current, int(updates), decay)

    average = AveragedModel(model, multi_avg_fn=update)
    average.n_averaged.fill_(1)  # the initial weights are the first average, to be moved rather than replaced
    return average.eval().requires_grad_(False)


@torch.no_grad()
def move_average(averages: list[Tensor], current: list[Tensor], step: int, decay: float) -> None:
    """Move averages towards the current weights, in place; steps are counted from 1.

    The decay is smaller at first: else the initial weights would keep a share of decay^step, 22 % after 150 steps at
    0.99, which with random weights is worse than no average.
    """
    torch._foreach_lerp_(averages, current, 1 - min(decay, (1 + step) / (10 + step)))


@contextmanager
def whole_average(average: Any) -> Iterator[nn.Module]:
    """Yield the averaged model, put together for that long where it is sharded."""
    if isinstance(average, AveragedModel):
        yield average.module
    else:
        with average.gathered() as module:
            yield module
