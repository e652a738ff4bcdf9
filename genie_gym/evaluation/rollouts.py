"""Batched rollouts of a world model under given actions, from given seeds.

Shapes: b rollouts, c context frames, h steps, s side of a frame in pixels.
"""

from collections.abc import Iterator

import numpy as np
import torch

from genie_gym.metrics.image import Frames
from genie_gym.utils.progress import tracked
from genie_gym.world_model import Checkpoint, Outcome, SamplingConfig

__all__ = ["BATCH_SIZE", "rollout", "rollout_single_pass", "rollout_steps"]

BATCH_SIZE = 32  # rollouts in one forward pass


def rollout_steps(
    checkpoint: Checkpoint,
    prompts: Frames,
    prev_actions: np.ndarray,
    actions: np.ndarray,
    seeds: np.ndarray,
    sampling: SamplingConfig,
) -> Iterator[Outcome]:
    """Step all rollouts together in one batch and yield the outcome of each step.

    Args:
        checkpoint: The world model.
        prompts: Real frames, uint8 (b, c, s, s, 3).
        prev_actions: Actions between the real frames, int64 (b, c - 1).
        actions: Actions to take from the last real frame on, int64 (b, h).
        seeds: int64 (b,); the same seeds sample with the same noise, whatever the actions are.
        sampling: How tokens are sampled.
    """
    state, _ = checkpoint.model.start(*(torch.from_numpy(x) for x in (prompts, prev_actions, seeds)))
    for action in torch.from_numpy(actions).unbind(1):
        yield checkpoint.model.step(state, action, sampling)


def rollout(
    checkpoint: Checkpoint,
    prompts: Frames,
    prev_actions: np.ndarray,
    actions: np.ndarray,
    seeds: np.ndarray,
    sampling: SamplingConfig,
) -> Frames:
    """Return all predicted frames, uint8 (b, h, s, s, 3), computed in batches; see `rollout_steps` for arguments."""
    parts = []
    for rows in _batches(len(prompts)):
        steps = rollout_steps(checkpoint, prompts[rows], prev_actions[rows], actions[rows], seeds[rows], sampling)
        parts.append(np.stack([outcome.frames.cpu().numpy() for outcome in steps], 1))
    return np.concatenate(parts)


def rollout_single_pass(
    checkpoint: Checkpoint,
    prompts: Frames,
    prev_actions: np.ndarray,
    actions: np.ndarray,
    seeds: np.ndarray,
    sampling: SamplingConfig,
) -> Frames:
    """Return as many frames predicted in a single pass, see `WorldModel.single_pass`: uint8 (b, h, s, s, 3)."""
    parts = []
    for rows in _batches(len(prompts)):
        shown, before, taken, own = (torch.from_numpy(x[rows]) for x in (prompts, prev_actions, actions, seeds))
        parts.append(checkpoint.model.single_pass(shown, before, taken, own, sampling).cpu().numpy())
    return np.concatenate(parts)


def _batches(clips: int) -> Iterator[slice]:
    starts = range(0, clips, BATCH_SIZE)
    yield from tracked((slice(i, i + BATCH_SIZE) for i in starts), "predicting clips", len(starts), unit="batches")
