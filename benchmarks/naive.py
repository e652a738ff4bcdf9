"""The naive way to dream, which the authors' code takes: every pass goes over the whole window, and nothing is kept.

Same weights, same masked prediction, but no cache: one frame costs as many passes over all frames of the window as
there are sampling steps, and a decoding of them all.
"""

import torch
from torch import Tensor

from genie_gym.frames import from_model
from genie_gym.models.maskgit import masked_after, sample_tokens, settle
from genie_gym.world_model import WorldModel

__all__ = ["naive_step"]


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
