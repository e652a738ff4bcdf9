"""Dreams as data: many at once under given actions, with given noise.

Shapes: b dreams, c prompt frames, h steps, n tokens a frame, s side of a frame in pixels.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from genie_gym.metrics import Frames
from genie_gym.world_model import Checkpoint, Outcome, Sampling

__all__ = ["draw_noise", "dream", "dream_steps"]

TOGETHER = 32  # dreams in one forward pass


def draw_noise(checkpoint: Checkpoint, dreams: int, steps: int, sampling: Sampling, seed: int) -> Tensor:
    """What dreams draw from: float (dreams, steps, sampling steps, 2, n), uniform in [0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(dreams, steps, sampling.steps, 2, checkpoint.model.tokens, generator=generator)


def dream_steps(
    checkpoint: Checkpoint,
    prompts: Frames,
    led: np.ndarray,
    actions: np.ndarray,
    noise: Iterable[Tensor],
    sampling: Sampling,
) -> Iterator[Outcome]:
    """Dreams all b at once, step by step.

    Args:
        prompts: uint8 (b, c, s, s, 3), real frames.
        led: int64 (b, c - 1), the actions between them.
        actions: int64 (b, h), those to take from there on.
        noise: for each step float (b, sampling steps, 2, n).
    """
    state, _ = checkpoint.model.start(torch.from_numpy(prompts), torch.from_numpy(led))
    for action, draw in zip(torch.from_numpy(actions).unbind(1), noise, strict=True):
        yield checkpoint.model.step(state, action, draw, sampling)


def dream(
    checkpoint: Checkpoint, prompts: Frames, led: np.ndarray, actions: np.ndarray, noise: Tensor, sampling: Sampling
) -> Frames:
    """All frames uint8 (b, h, s, s, 3) of such dreams under noise of `draw_noise`, a few at a time to spare memory."""
    parts = []
    for i in range(0, len(prompts), TOGETHER):
        rows = slice(i, i + TOGETHER)
        steps = dream_steps(checkpoint, prompts[rows], led[rows], actions[rows], noise[rows].unbind(1), sampling)
        parts.append(np.stack([outcome.frames.cpu().numpy() for outcome in steps], 1))
    return np.concatenate(parts)
