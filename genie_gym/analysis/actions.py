"""Effect of each action: rollouts in which one action is held, with the same noise for all (paper, figure 4).

Shapes: b initial contexts, c context frames, a actions, k steps, s side of a frame in pixels.
"""

import numpy as np
from einops import rearrange

from genie_gym.evaluation.rollouts import rollout
from genie_gym.metrics.image import Frames
from genie_gym.world_model import Checkpoint, SamplingConfig

__all__ = ["action_differences", "differences_from_median", "rollouts_by_action"]


def rollouts_by_action(
    checkpoint: Checkpoint,
    prompts: Frames,
    prev_actions: np.ndarray,
    steps: int = 8,
    *,
    seed: int = 0,
    sampling: SamplingConfig | None = None,
) -> Frames:
    """Roll out each initial context once per action of the model, holding that action throughout.

    The rollouts of one context share their noise: where they differ, the action made the difference.

    Args:
        checkpoint: The world model.
        prompts: Real frames, uint8 (b, c, s, s, 3).
        prev_actions: Actions between the real frames, int64 (b, c - 1), -1 where unknown.
        steps: Length of a rollout, k.
        seed: Random seed of the noise.
        sampling: How tokens are sampled; as the checkpoint says by default.

    Returns:
        uint8 (b, a, k, s, s, 3): entry [i, j, t] is context i after t + 1 times action j.
    """
    number = len(checkpoint.game["actions"])
    seeds = np.random.default_rng(seed).integers(2**63, size=len(prompts))
    held = np.tile(np.arange(number), len(prompts))[:, None].repeat(steps, 1)
    prompts, prev_actions, seeds = (np.repeat(x, number, 0) for x in (prompts, prev_actions, seeds))
    frames = rollout(checkpoint, prompts, prev_actions, held, seeds, sampling or checkpoint.sampling)
    return rearrange(frames, "(b a) k h w c -> b a k h w c", a=number)


def differences_from_median(rollouts: Frames) -> np.ndarray:
    """Return how far each frame is from the median over all actions, in pixel levels.

    Args:
        rollouts: uint8 (..., a, k, s, s, 3).

    Returns:
        uint8 (..., a, k, s, s).
    """
    median = np.median(rollouts, axis=-5, keepdims=True)
    return np.abs(rollouts - median).max(-1).round().astype(np.uint8)


def action_differences(rollouts: Frames, other_noise: Frames) -> np.ndarray:
    """Return the mean absolute difference, in pixel levels, of the last frames under any two actions.

    Args:
        rollouts: uint8 (b, a, k, s, s, 3).
        other_noise: The same rollouts sampled with other noise.

    Returns:
        float64 (a, a), symmetric. Each entry compares frames sampled with different noise, so the diagonal is the
        difference that noise alone makes: two actions that differ by no more cannot be told apart.
    """
    last, other = (np.swapaxes(x[:, :, -1], 0, 1).astype(np.float32) for x in (rollouts, other_noise))  # (a, b, ...)
    differences = np.array([[np.abs(one - two).mean(dtype=np.float64) for two in other] for one in last])
    return (differences + differences.T) / 2
