"""The naive way to dream and to train, which the authors' code takes: nothing is kept from pass to pass.

Same weights, same masked prediction, but no cache: one frame costs as many passes over all frames of the window as
there are sampling steps, and a decoding of them all; one training step encodes its clips anew.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_gym.frames import from_model
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.maskgit import masked_after, random_masks, sample_tokens, settle
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.models.transformer import Frames
from genie_gym.world_model import WorldModel

__all__ = ["naive_loss", "naive_step"]


@torch.inference_mode()
def naive_step(model: WorldModel, tokens: Tensor, actions: Tensor, steps: int) -> Tensor:
    """Draws the frame after a window of frames.

    Args:
        tokens: int64 (b, t, n), the window.
        actions: int64 (b, t + 1), the action that led to each of its frames, and the one to take.
        steps: sampling steps.

    Returns:
        uint8 (b, s, s, 3).
    """
    b, _, n = tokens.shape
    draft = torch.full((b, n), model.dynamics.hidden, device=tokens.device)
    hidden = torch.ones_like(draft, dtype=torch.bool)
    for i in range(steps):
        features = model.dynamics.features(tokens, draft[:, None], actions)[:, -1]
        codes = sample_tokens(model.dynamics.to_logits(features), torch.rand(b, n, device=tokens.device), 1.0)
        settled = torch.where(hidden, codes, draft)
        hidden = settle(torch.rand(b, n, device=tokens.device), hidden, masked_after(i, steps, n))
        draft = settled.masked_fill(hidden, model.dynamics.hidden)
    window = torch.cat([tokens, draft[:, None]], 1)[:, -tokens.shape[1] :]
    return from_model(model.tokenizer.decode(window)[:, -1])


def naive_loss(tokenizer: Tokenizer, dynamics: Dynamics, frames: Tensor, actions: Tensor) -> Tensor:
    """Cross-entropy of the tokens that one pass over whole clips does not see; their pixels are encoded anew each time.

    The pass is half of ours, in which each frame is predicted from a past that is seen.

    Args:
        frames: float (b, t, 3, s, s).
        actions: int64 (b, t), the action that led to each frame.
    """
    with torch.no_grad():
        tokens = tokenizer.encode(frames)
    hidden = random_masks(tokens.shape[:2], tokens.shape[2], dynamics.config.full, tokens.device)
    seen = dynamics.embeddings(tokens.masked_fill(hidden, dynamics.hidden))
    features = dynamics.transformer(Frames(seen, tokens.shape[1], dynamics.one_hot(actions)))
    return F.cross_entropy(dynamics.to_logits(features[hidden]), tokens[hidden])
