"""The interface of intrinsic rewards.

Shapes: N windows (one per environment, or a batch of them), w frames per window, s side of a frame in pixels.
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
        reward: Float32 (N,), the reward of the newest frame of each window.
        map: Float32 (N, side, side), the reward by place in the frame; None where the reward has no places.
    """

    reward: Tensor
    map: Tensor | None = None


class IntrinsicReward(Protocol):
    """The interface of AutoExplore and of the baselines.

    A window holds w frames, oldest first, and the w - 1 actions between them: actions[i] is taken at frames[i] and
    leads to frames[i + 1]. The reward belongs to the step that leads to the newest frame.

    Attributes:
        window: Number of frames w in a window.
        context: Number of the oldest frames in a window that the reward depends on. Where it is smaller than `window`,
            the reward of a step is known as soon as its action is chosen, before the next frame is there.
        learns: Whether `update` changes the reward.
    """

    window: int
    context: int
    learns: bool

    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Return the rewards of N windows. Does not train, and does not depend on other windows in the batch.

        Args:
            frames: Uint8 (N, at least `context`, s, s, 3), the oldest frames of each window.
            actions: Int64 (N, w - 1).
        """
        ...

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """Take one training step on whole windows and return the losses.

        Args:
            frames: Uint8 (N, w, s, s, 3).
            actions: Int64 (N, w - 1).
        """
        ...


class NoReward:
    """An intrinsic reward that is always 0, for agents without curiosity."""

    window, context, learns = 1, 0, False

    def score(self, frames: Tensor, actions: Tensor) -> Score:
        return Score(torch.zeros(len(actions), device="cpu"))

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        return {}
