"""Imagination and training as in the authors' code, where nothing is cached from pass to pass.

Weights and masked prediction are the same. One frame costs as many passes over all frames of the window as there are
sampling steps, and decodes them all; one training step encodes its clips anew.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_gym.models.dynamics import Dynamics
from genie_gym.models.maskgit import num_masked_after, random_masks, sample_tokens, unmask
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.models.transformer import Frames
from genie_gym.utils.images import from_model
from genie_gym.world_model import WorldModel

__all__ = ["naive_loss", "naive_step"]


@torch.inference_mode()
def naive_step(model: WorldModel, tokens: Tensor, actions: Tensor, steps: int) -> Tensor:
    """Generate the frame after a window of frames.

    Args:
        model: The world model.
        tokens: Tokens of the window, int64 (b, t, n).
        actions: The action before each of its frames, and the next one, int64 (b, t + 1).
        steps: Number of sampling steps.

    Returns:
        The frame, uint8 (b, s, s, 3).
    """
    b, _, n = tokens.shape
    draft = torch.full((b, n), model.dynamics.mask_token, device=tokens.device)
    masked = torch.ones_like(draft, dtype=torch.bool)
    for i in range(steps):
        features = model.dynamics.features(tokens, draft[:, None], actions)[:, -1]
        sampled = sample_tokens(model.dynamics.to_logits(features), torch.rand(b, n, device=tokens.device), 1.0)
        complete = torch.where(masked, sampled, draft)
        masked = unmask(torch.rand(b, n, device=tokens.device), masked, num_masked_after(i, steps, n))
        draft = complete.masked_fill(masked, model.dynamics.mask_token)
    window = torch.cat([tokens, draft[:, None]], 1)[:, -tokens.shape[1] :]
    return from_model(model.tokenizer.decode(window)[:, -1])


def naive_loss(tokenizer: Tokenizer, dynamics: Dynamics, frames: Tensor, actions: Tensor) -> Tensor:
    """Return the cross-entropy of the masked tokens in one pass over whole clips, which are encoded anew.

    It is half of what our dynamics compute, where each frame is also predicted from an unmasked past.

    Args:
        tokenizer: The tokenizer.
        dynamics: The dynamics to train.
        frames: float (b, t, 3, s, s).
        actions: The action before each frame, int64 (b, t).
    """
    with torch.no_grad():
        tokens = tokenizer.encode(frames)
    masked = random_masks(tokens.shape[:2], tokens.shape[2], dynamics.config.fully_masked_share, tokens.device)
    seen = dynamics.embeddings(tokens.masked_fill(masked, dynamics.mask_token))
    features = dynamics.transformer(Frames(seen, tokens.shape[1], dynamics.one_hot(actions)))
    return F.cross_entropy(dynamics.to_logits(features[masked]), tokens[masked])
