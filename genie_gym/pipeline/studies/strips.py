"""What each action does: from one start every action is held for a while, with the same noise (paper figure 4).

Shapes: b starts, c prompt frames, a actions, k steps, s side of a frame in pixels.
"""

import numpy as np
from einops import rearrange

from genie_gym.metrics import Frames
from genie_gym.pipeline.dreaming import dream
from genie_gym.world_model import Checkpoint, Sampling

__all__ = ["action_differences", "action_strips", "changes_by_action"]


def action_strips(
    checkpoint: Checkpoint,
    prompts: Frames,
    led: np.ndarray,
    steps: int = 8,
    *,
    seed: int = 0,
    sampling: Sampling | None = None,
) -> Frames:
    """Dreams from each start, once for each of the model's actions, which is held all the time.

    The dreams of one start share their noise: where they differ, the action made the difference.

    Args:
        prompts: uint8 (b, c, s, s, 3), real frames.
        led: int64 (b, c - 1), the actions between them, -1 for one unknown.
        steps: k.
        seed: of the noise.
        sampling: how tokens are drawn; the checkpoint's own way by default.

    Returns:
        uint8 (b, a, k, s, s, 3): entry [i, j, t] is start i after t + 1 times action j.
    """
    number = len(checkpoint.game["actions"])
    seeds = np.random.default_rng(seed).integers(2**63, size=len(prompts))
    held = np.tile(np.arange(number), len(prompts))[:, None].repeat(steps, 1)
    prompts, led, seeds = (np.repeat(x, number, 0) for x in (prompts, led, seeds))
    frames = dream(checkpoint, prompts, led, held, seeds, sampling or checkpoint.sampling)
    return rearrange(frames, "(b a) k h w c -> b a k h w c", a=number)


def changes_by_action(strips: Frames) -> np.ndarray:
    """How far each picture is from what the actions have in common, their median: uint8 (..., a, k, s, s)."""
    common = np.median(strips, axis=-5, keepdims=True)
    return np.abs(strips - common).max(-1).round().astype(np.uint8)


def action_differences(strips: Frames, again: Frames) -> np.ndarray:
    """How different the last pictures of any two actions are: mean absolute difference in pixel levels over starts.

    Args:
        strips: uint8 (b, a, k, s, s, 3).
        again: the same from other noise.

    Returns:
        float64 (a, a), symmetric, always between a picture of one noise and one of the other. So the diagonal is what
        noise alone makes of an action: two actions that differ by no more than that cannot be told apart.
    """
    last, other = (np.swapaxes(x[:, :, -1], 0, 1).astype(np.float32) for x in (strips, again))  # (a, b, s, s, 3)
    differences = np.array([[np.abs(one - two).mean(dtype=np.float64) for two in other] for one in last])
    return (differences + differences.T) / 2
