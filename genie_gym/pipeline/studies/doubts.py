"""Where the dynamics are unsure: the entropy of each predicted token, next frame and further on.

The paper's study of the dynamics (section 5, figure 6). Shapes: b clips, t frames, n = side * side tokens a frame,
s side of a frame in pixels.
"""

import numpy as np
import torch
from einops import rearrange

from genie_gym.frames import to_model
from genie_gym.metrics import Frames
from genie_gym.models.uncertainty import token_entropy
from genie_gym.pipeline.studies.studied_play import Play
from genie_gym.precision import autocast
from genie_gym.rewards import AutoExplore
from genie_gym.world_model import WorldModel

__all__ = ["STRANGE", "autoexplore", "chance_to_exceed", "reward_maps", "strange_rewards", "uncertainty_maps"]

TOGETHER = 8  # clips at once: their logits take 34 MB at 16 frames of 64 tokens with 1024 codes
HORIZON = 3  # frames ahead that the paper's reward looks
STRANGE = ("play", "negative", "upside down", "noise")


@torch.inference_mode()
def uncertainty_maps(model: WorldModel, frames: Frames, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How unsure the model is of each token of a frame, given the real frames before it and the actions (equation 2).

    Args:
        frames: uint8 (b, t, s, s, 3).
        actions: int64 (b, t - 1).

    Returns:
        of frames 1 to t - 1: float32 (b, t - 1, side, side) from 0 (certain) to 2 (anything), and bool of the same
        shape, whether the likeliest token is another than the frame's.
    """
    parts = zip(torch.from_numpy(frames).split(TOGETHER), torch.from_numpy(actions).split(TOGETHER), strict=True)
    found = zip(*(_next_frames(model, *part) for part in parts), strict=True)
    maps, wrong = (rearrange(torch.cat(x), "b t (h w) -> b t h w", h=model.dynamics.config.side) for x in found)
    return maps.numpy(), wrong.numpy()


def _next_frames(model: WorldModel, frames: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Entropies and whether the likeliest token is wrong: (b, t - 1, n) each."""
    led = torch.cat([torch.full_like(actions[:, :1], -1), actions], 1).to(model.device)  # none led to the first frame
    with autocast(model.dtype, model.device):
        tokens = model.tokenizer.encode(to_model(frames.to(model.device)))
        logits = model.dynamics.next_logits(tokens, led)
    return token_entropy(logits).cpu(), (logits.argmax(-1) != tokens[:, 1:]).cpu()


def autoexplore(model: WorldModel, horizon: int = HORIZON) -> AutoExplore:
    """AutoExplore, but no further ahead than the model can look back."""
    return AutoExplore(model, horizon=min(horizon, model.dynamics.config.window - 1))


def reward_maps(model: WorldModel, frames: Frames, actions: np.ndarray, horizon: int = HORIZON) -> np.ndarray:
    """AutoExplore's map of every frame that has enough before it: what the model is unsure of some frames ahead.

    Args:
        frames: uint8 (b, t, s, s, 3).
        actions: int64 (b, t - 1).
        horizon: how many frames ahead.

    Returns:
        float32 (b, t - w + 1, side, side) of frames w - 1 to t - 1, with w frames in AutoExplore's window; 0 to 2.
    """
    reward = autoexplore(model, horizon)
    starts = range(frames.shape[1] - reward.window + 1)
    windows = ((frames[:, i : i + reward.context], actions[:, i : i + reward.window - 1]) for i in starts)
    maps = [reward.score(torch.from_numpy(shown), torch.from_numpy(taken)).map for shown, taken in windows]
    return np.stack([one.numpy() for one in maps if one is not None], 1)  # this reward always has one


def chance_to_exceed(values: np.ndarray, others: np.ndarray) -> float:
    """The chance that one of some values is larger than one of others, ties counted half: 0.5 if they are alike.

    >>> chance_to_exceed(np.array([2, 3]), np.array([1, 2]))
    0.875
    """
    ordered = np.sort(others, axis=None)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return float(below.mean() / 2 / len(ordered)) if values.size and len(ordered) else float("nan")


def strange_rewards(model: WorldModel, play: Play, seed: int = 0) -> dict[str, np.ndarray]:
    """AutoExplore's reward of play as it is, and of the same with pictures that the model has never seen.

    Returns:
        float32 (b,) under each name of STRANGE, in [0, 2]: the play, in inverted colours, upside down, and with noise
        in place of its pictures.
    """
    reward = autoexplore(model)
    shown, actions = play.frames[:, : reward.context], play.actions[:, : reward.window - 1]
    noise = np.random.default_rng(seed).integers(0, 256, shown.shape, np.uint8)
    pictures = (shown, 255 - shown, shown[:, :, ::-1].copy(), noise)
    scores = (reward.score(torch.from_numpy(frames), torch.from_numpy(actions)) for frames in pictures)
    return {name: score.reward.numpy() for name, score in zip(STRANGE, scores, strict=True)}
