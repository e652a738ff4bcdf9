"""Pictures to tokens and back, a few clips at a time to spare memory.

Shapes: b clips, t frames, n tokens a frame, s side of a frame in pixels.
"""

import numpy as np
import torch

from genie_gym.frames import from_model, to_model
from genie_gym.metrics import Frames
from genie_gym.precision import autocast
from genie_gym.world_model import WorldModel

__all__ = ["decode", "encode"]

TOGETHER = 32  # clips at once


@torch.inference_mode()
def encode(model: WorldModel, frames: Frames) -> np.ndarray:
    """The tokens int64 (b, t, n) of clips uint8 (b, t, s, s, 3)."""
    with autocast(model.dtype, model.device):
        parts = [model.tokenizer.encode(to_model(part.to(model.device))) for part in _parts(frames)]
    return torch.cat(parts).cpu().numpy()


@torch.inference_mode()
def decode(model: WorldModel, tokens: np.ndarray) -> Frames:
    """The pictures uint8 (b, t, s, s, 3) of clips of tokens int64 (b, t, n)."""
    with autocast(model.dtype, model.device):
        parts = [from_model(model.tokenizer.decode(part.to(model.device))).cpu() for part in _parts(tokens)]
    return torch.cat(parts).numpy()


def _parts(clips: np.ndarray) -> tuple[torch.Tensor, ...]:
    return torch.from_numpy(clips).split(TOGETHER)
