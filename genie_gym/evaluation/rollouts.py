"""Batched rollouts of a world model under given actions, from given seeds.

Shapes: b rollouts, c context frames, h steps, s side of a frame in pixels.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from genie_gym.metrics.image import Frames
from genie_gym.utils.progress import tracked
from genie_gym.world_model import Checkpoint, Outcome, SamplingConfig

__all__ = ["BATCH_SIZE", "Batch", "PredictBatch", "RunBatches", "rollout", "rollout_single_pass", "rollout_steps"]

BATCH_SIZE = 32  # rollouts in one forward pass

Batch = tuple[np.ndarray, ...]  # prompts, previous actions, actions and seeds of some rollouts
PredictBatch = Callable[[Checkpoint, Batch, SamplingConfig], Frames]
RunBatches = Callable[[PredictBatch, Checkpoint, Sequence[Batch], SamplingConfig], Iterator[Frames]]


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
    run: RunBatches | None = None,
) -> Frames:
    """Return all predicted frames, uint8 (b, h, s, s, 3), computed in batches; see `rollout_steps` for arguments.

    Args:
        run: Computes the batches; here, one after the other, by default.
    """
    return _in_batches(_rollout_batch, checkpoint, (prompts, prev_actions, actions, seeds), sampling, run)


def rollout_single_pass(
    checkpoint: Checkpoint,
    prompts: Frames,
    prev_actions: np.ndarray,
    actions: np.ndarray,
    seeds: np.ndarray,
    sampling: SamplingConfig,
    run: RunBatches | None = None,
) -> Frames:
    """Return as many frames predicted in a single pass, see `WorldModel.single_pass`: uint8 (b, h, s, s, 3)."""
    return _in_batches(_single_pass_batch, checkpoint, (prompts, prev_actions, actions, seeds), sampling, run)


def _run_here(
    predict: PredictBatch, checkpoint: Checkpoint, batches: Sequence[Batch], sampling: SamplingConfig
) -> Iterator[Frames]:
    return (predict(checkpoint, batch, sampling) for batch in batches)


def _in_batches(
    predict: PredictBatch, checkpoint: Checkpoint, inputs: Batch, sampling: SamplingConfig, run: RunBatches | None
) -> Frames:
    starts = range(0, len(inputs[0]), BATCH_SIZE)
    batches = [tuple(x[i : i + BATCH_SIZE] for x in inputs) for i in starts]
    parts = (run or _run_here)(predict, checkpoint, batches, sampling)
    return np.concatenate(list(tracked(parts, "predicting clips", len(starts), unit="batches")))


def _rollout_batch(checkpoint: Checkpoint, batch: Batch, sampling: SamplingConfig) -> Frames:
    prompts, prev_actions, actions, seeds = batch
    steps = rollout_steps(checkpoint, prompts, prev_actions, actions, seeds, sampling)
    return np.stack([outcome.frames.cpu().numpy() for outcome in steps], 1)


def _single_pass_batch(checkpoint: Checkpoint, batch: Batch, sampling: SamplingConfig) -> Frames:
    prompts, prev_actions, actions, seeds = map(torch.from_numpy, batch)
    return checkpoint.model.single_pass(prompts, prev_actions, actions, seeds, sampling).cpu().numpy()
