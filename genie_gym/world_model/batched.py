"""Encode and decode many clips, a batch at a time to limit memory.

Shapes: b clips, t frames, n tokens per frame, s side of a frame in pixels.
"""

import numpy as np
import torch

from genie_gym.metrics.image import Frames
from genie_gym.utils.images import from_model, to_model
from genie_gym.utils.precision import autocast
from genie_gym.utils.progress import tracked
from genie_gym.world_model import WorldModel

__all__ = ["decode_clips", "encode_clips"]

BATCH_SIZE = 32


@torch.inference_mode()
def encode_clips(model: WorldModel, frames: Frames) -> np.ndarray:
    """Return the tokens of clips.

    Args:
        model: The world model whose tokenizer is used.
        frames: uint8 (b, t, s, s, 3).

    Returns:
        int64 (b, t, n).
    """
    with autocast(model.dtype, model.device):
        batches = tracked(_batches(frames), "encoding clips", -(-len(frames) // BATCH_SIZE), unit="batches")
        parts = [model.tokenizer.encode(to_model(part.to(model.device))) for part in batches]
    return torch.cat(parts).cpu().numpy()


@torch.inference_mode()
def decode_clips(model: WorldModel, tokens: np.ndarray) -> Frames:
    """Return the frames of clips.

    Args:
        model: The world model whose tokenizer is used.
        tokens: int64 (b, t, n).

    Returns:
        uint8 (b, t, s, s, 3).
    """
    with autocast(model.dtype, model.device):
        batches = tracked(_batches(tokens), "decoding clips", -(-len(tokens) // BATCH_SIZE), unit="batches")
        parts = [from_model(model.tokenizer.decode(part.to(model.device))).cpu() for part in batches]
    return torch.cat(parts).numpy()


def _batches(clips: np.ndarray) -> tuple[torch.Tensor, ...]:
    return torch.from_numpy(clips).split(BATCH_SIZE)
