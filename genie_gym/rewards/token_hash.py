"""A coarse hash of frames by the codes of their tokens: like frames have the same key."""

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from genie_gym.utils.images import to_model
from genie_gym.utils.precision import autocast
from genie_gym.world_model import WorldModel

__all__ = ["TokenHash"]

REGIONS = 4  # per side of a frame; codes are averaged in each, so that a step of a sprite seldom changes the key


class TokenHash:
    """The signs of random projections of a frame's codes (Charikar 2002; for counts of visits Tang et al. 2017).

    Args:
        model: A world model, of which the tokenizer is used.
        bits: Number of projections. Frames share a key where all signs agree.
        seed: Seed of the projections.
    """

    def __init__(self, model: WorldModel, bits: int = 16, seed: int = 0):
        self.model, self.bits = model, bits
        codes = model.tokenizer.codebook.codes.float()
        self._codes = codes - codes.mean(0)  # what all codes share would decide most signs
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(REGIONS**2 * codes.shape[1], bits, generator=generator, device="cpu")
        self._projections = drawn.to(codes.device)

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> np.ndarray:
        """Return the keys int64 (n,) of frames uint8 (n, s, s, 3), each by itself."""
        with autocast(self.model.dtype, self.model.device):
            tokens = self.model.tokenizer.encode(to_model(frames[:, None].to(self.model.device)))[:, 0]
        return self.keys_of_tokens(tokens).cpu().numpy()

    def keys_of_tokens(self, tokens: Tensor) -> Tensor:
        """Return the keys int64 (n,) of tokens int64 (n, side^2)."""
        side = round(tokens.shape[1] ** 0.5)
        grid = rearrange(self._codes[tokens], "n (h w) c -> n c h w", h=side)
        features = rearrange(F.adaptive_avg_pool2d(grid, REGIONS), "n c h w -> n (h w c)")
        signs = (features @ self._projections > 0).long()
        return (signs << torch.arange(self.bits, device=signs.device)).sum(1)
