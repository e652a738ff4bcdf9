"""Uncertainty of the dynamics: the entropy of each predicted token, of the next frame and further ahead.

The paper's study of the dynamics (section 5, figure 6). Shapes: b clips, t frames, n = side * side tokens a frame,
s side of a frame in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange

from genie_gym.analysis.samples import SampledClips
from genie_gym.metrics.image import Frames
from genie_gym.models.uncertainty import token_entropy
from genie_gym.rewards import AutoExplore
from genie_gym.utils.images import to_model
from genie_gym.utils.precision import autocast
from genie_gym.world_model import WorldModel

__all__ = [
    "FRAME_KINDS",
    "IN_DISTRIBUTION",
    "NextFrameUncertainty",
    "auroc",
    "autoexplore",
    "autoexplore_maps",
    "next_frame_uncertainty",
    "out_of_distribution_rewards",
]

BATCH_SIZE = 8  # clips: their logits take 34 MB at 16 frames of 64 tokens with 1024 codes
HORIZON = 3  # frames ahead that the paper's reward looks
IN_DISTRIBUTION = "frames as they are"
FRAME_KINDS = (IN_DISTRIBUTION, "inverted colours", "upside down", "noise")  # the last three are out of distribution


@dataclass(frozen=True)
class NextFrameUncertainty:
    """Uncertainty about frames 1 to t - 1, given the real frames before each and the actions.

    Attributes:
        entropy: Token entropy (equation 2), float32 (b, t - 1, side, side), 0 (certain) to 2 (uniform).
        wrong: Whether the likeliest token is not the frame's, bool of the same shape.
    """

    entropy: np.ndarray
    wrong: np.ndarray


@torch.inference_mode()
def next_frame_uncertainty(model: WorldModel, frames: Frames, actions: np.ndarray) -> NextFrameUncertainty:
    """Measure how uncertain the model is of each token of the next frame, and whether it is wrong.

    Args:
        model: The world model.
        frames: uint8 (b, t, s, s, 3).
        actions: int64 (b, t - 1).
    """
    parts = zip(torch.from_numpy(frames).split(BATCH_SIZE), torch.from_numpy(actions).split(BATCH_SIZE), strict=True)
    found = zip(*(_next_frames(model, *part) for part in parts), strict=True)
    side = model.dynamics.config.side
    entropy, wrong = (rearrange(torch.cat(x), "b t (h w) -> b t h w", h=side) for x in found)
    return NextFrameUncertainty(entropy.numpy(), wrong.numpy())


def _next_frames(model: WorldModel, frames: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return entropies and whether the likeliest token is wrong: (b, t - 1, n) each."""
    unknown = torch.full_like(actions[:, :1], -1)  # no action before the first frame
    prev_actions = torch.cat([unknown, actions], 1).to(model.device)
    with autocast(model.dtype, model.device):
        tokens = model.tokenizer.encode(to_model(frames.to(model.device)))
        logits = model.dynamics.next_logits(tokens, prev_actions)
    return token_entropy(logits).cpu(), (logits.argmax(-1) != tokens[:, 1:]).cpu()


def autoexplore(model: WorldModel, horizon: int = HORIZON) -> AutoExplore:
    """Return the AutoExplore reward, with a horizon no longer than the window of the model allows."""
    return AutoExplore(model, horizon=min(horizon, model.dynamics.config.window - 1))


def autoexplore_maps(model: WorldModel, frames: Frames, actions: np.ndarray, horizon: int = HORIZON) -> np.ndarray:
    """Return the uncertainty maps of AutoExplore, some frames ahead of those it is shown.

    Args:
        model: The world model.
        frames: uint8 (b, t, s, s, 3).
        actions: int64 (b, t - 1).
        horizon: Number of frames ahead.

    Returns:
        float32 (b, t - w + 1, side, side) of frames w - 1 to t - 1, with w frames in AutoExplore's window; 0 to 2.
    """
    reward = autoexplore(model, horizon)
    starts = range(frames.shape[1] - reward.window + 1)
    windows = ((frames[:, i : i + reward.context], actions[:, i : i + reward.window - 1]) for i in starts)
    maps = [reward.score(torch.from_numpy(shown), torch.from_numpy(taken)).map for shown, taken in windows]
    return np.stack([one.numpy() for one in maps if one is not None], 1)  # this reward always has one


def auroc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return the area under the ROC curve: the chance that a positive is larger than a negative, ties counted half.

    Args:
        positives: Values of any shape.
        negatives: Values of any shape.

    Returns:
        0 to 1, 0.5 for equal distributions; NaN if either is empty.

    >>> auroc(np.array([2, 3]), np.array([1, 2]))
    0.875
    """
    ordered = np.sort(negatives, axis=None)
    below = np.searchsorted(ordered, positives, "left") + np.searchsorted(ordered, positives, "right")
    return float(below.mean() / 2 / len(ordered)) if positives.size and len(ordered) else float("nan")


def out_of_distribution_rewards(model: WorldModel, clips: SampledClips, seed: int = 0) -> dict[str, np.ndarray]:
    """Return AutoExplore's reward of clips as they are, and of inputs that the model has never seen.

    Args:
        model: The world model.
        clips: Clips of the game.
        seed: Random seed of the noise.

    Returns:
        float32 (b,) in [0, 2] under each of `FRAME_KINDS`.
    """
    reward = autoexplore(model)
    shown, actions = clips.frames[:, : reward.context], clips.actions[:, : reward.window - 1]
    noise = np.random.default_rng(seed).integers(0, 256, shown.shape, np.uint8)
    kinds = (shown, 255 - shown, shown[:, :, ::-1].copy(), noise)
    scores = (reward.score(torch.from_numpy(frames), torch.from_numpy(actions)) for frames in kinds)
    return {name: score.reward.numpy() for name, score in zip(FRAME_KINDS, scores, strict=True)}
