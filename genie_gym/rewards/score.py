"""What every intrinsic reward gives and how it is asked for it.

Shapes: N windows (one an environment, or a batch of them), w frames a window, s side of a frame in pixels.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["IntrinsicReward", "NoReward", "Score"]


@dataclass
class Score:
    """Rewards of N windows, on the CPU.

    Attributes:
        reward: float32 (N,), for the newest frame of each window.
        map: float32 (N, side, side), the reward's parts by place in the picture; None where it has none.
    """

    reward: Tensor
    map: Tensor | None = None


class IntrinsicReward(Protocol):
    """The interface of AutoExplore and of the baselines.

    A window holds w frames, oldest first, and the w - 1 actions between them: actions[i] was taken at frames[i] and
    led to frames[i + 1]. The reward belongs to the newest frame: to the step that led there.

    Attributes:
        window: w.
        context: how many of a window's oldest frames are looked at. Where this is less than `window`, the reward of
            a step is known as soon as its action is: the frame it leads to is not needed.
        learns: whether `update` changes anything.
    """

    window: int
    context: int
    learns: bool

    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Rewards of N windows; never trains, and the same whatever other windows are in the batch.

        Args:
            frames: uint8 (N, at least `context`, s, s, 3), the oldest frames of each window.
            actions: int64 (N, w - 1).
        """
        ...

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """Learns from whole windows, uint8 (N, w, s, s, 3) and int64 (N, w - 1), in one step; returns the losses."""
        ...


class NoReward:
    """Always 0: what an agent does without curiosity."""

    window, context, learns = 1, 0, False

    def score(self, frames: Tensor, actions: Tensor) -> Score:
        return Score(torch.zeros(len(actions), device="cpu"))

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        return {}
