"""Dreams as data: many at once under given actions, from given seeds.

Shapes: b dreams, c prompt frames, h steps, s side of a frame in pixels.
"""

from collections.abc import Iterator

import numpy as np
import torch

from genie_gym.metrics import Frames
from genie_gym.world_model import Checkpoint, Outcome, Sampling

__all__ = ["dream", "dream_at_once", "dream_steps"]

TOGETHER = 32  # dreams in one forward pass


def dream_steps(
    checkpoint: Checkpoint,
    prompts: Frames,
    led: np.ndarray,
    actions: np.ndarray,
    seeds: np.ndarray,
    sampling: Sampling,
) -> Iterator[Outcome]:
    """Dreams all b at once, step by step.

    Args:
        prompts: uint8 (b, c, s, s, 3), real frames.
        led: int64 (b, c - 1), the actions between them.
        actions: int64 (b, h), those to take from there on.
        seeds: int64 (b,); the same seeds under other actions draw with the same noise.
    """
    state, _ = checkpoint.model.start(*(torch.from_numpy(x) for x in (prompts, led, seeds)))
    for action in torch.from_numpy(actions).unbind(1):
        yield checkpoint.model.step(state, action, sampling)


def dream(
    checkpoint: Checkpoint, prompts: Frames, led: np.ndarray, actions: np.ndarray, seeds: np.ndarray, sampling: Sampling
) -> Frames:
    """All frames uint8 (b, h, s, s, 3) of such dreams, a few at a time to spare memory."""
    parts = []
    for i in range(0, len(prompts), TOGETHER):
        rows = slice(i, i + TOGETHER)
        steps = dream_steps(checkpoint, prompts[rows], led[rows], actions[rows], seeds[rows], sampling)
        parts.append(np.stack([outcome.frames.cpu().numpy() for outcome in steps], 1))
    return np.concatenate(parts)


def dream_at_once(
    checkpoint: Checkpoint, prompts: Frames, led: np.ndarray, actions: np.ndarray, seeds: np.ndarray, sampling: Sampling
) -> Frames:
    """As many frames, uint8 (b, h, s, s, 3), predicted in a single pass: see `WorldModel.at_once`."""
    parts = []
    for i in range(0, len(prompts), TOGETHER):
        shown, before, taken, own = (torch.from_numpy(x[i : i + TOGETHER]) for x in (prompts, led, actions, seeds))
        parts.append(checkpoint.model.at_once(shown, before, taken, own, sampling).cpu().numpy())
    return np.concatenate(parts)
