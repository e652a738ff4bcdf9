"""Analysis of the tokenizer: what its codes mean, which of them are used, and the static token.

The paper's study of the tokenizer (section 5, figure 5). Shapes: b clips, t frames, n = side * side tokens a frame,
k codes, s side of a frame in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from genie_gym.metrics.image import Frames
from genie_gym.metrics.latent_actions import perplexity
from genie_gym.world_model import WorldModel
from genie_gym.world_model.batched import decode_clips, encode_clips

__all__ = [
    "STATIC_LEVELS",
    "CodeUsage",
    "StaticToken",
    "SwappedReconstructions",
    "code_usage",
    "nearest_and_furthest_codes",
    "patch_changes",
    "reconstructions_with_swapped_codes",
    "static_token",
]

STATIC_LEVELS = 5  # pixel levels by which a static patch may change, as for `metrics.image.moving_pixels`


@dataclass(frozen=True)
class SwappedReconstructions:
    """Frames decoded from swapped tokens, uint8 (b, t, s, s, 3) each.

    Attributes:
        reconstruction: Decoded from the tokens as they are.
        nearest: Decoded after each token is replaced by the most similar other code.
        furthest: Decoded after each token is replaced by the least similar code.
    """

    reconstruction: Frames
    nearest: Frames
    furthest: Frames


@dataclass(frozen=True)
class CodeUsage:
    """Usage of a codebook in some frames.

    Attributes:
        counts: int64 (k,), how often each code was chosen.
        idle: Number of codes hardly chosen at the end of training, by the codebook's own running count.
    """

    counts: np.ndarray
    idle: int

    @property
    def used(self) -> int:
        """Number of codes chosen at least once."""
        return int(np.count_nonzero(self.counts))

    @property
    def perplexity(self) -> float:
        """Effective number of codes."""
        return perplexity(self.counts)


@dataclass(frozen=True)
class StaticToken:
    """The token of static patches, which do not change from one frame to the next.

    All values but `token` are shares, 0 to 1; NaN if there are no such patches.

    Attributes:
        token: The most frequent token of static patches.
        static: Share of patches that are static.
        share_of_static: Share of static patches with this token; near 1 for a tokenizer that encodes change alone.
        share_of_moving: Share of moving patches with this token.
        kept_static: Share of static patches with the same token as in the previous frame.
        kept_moving: Share of moving patches with the same token as in the previous frame.
    """

    token: int
    static: float
    share_of_static: float
    share_of_moving: float
    kept_static: float
    kept_moving: float


def nearest_and_furthest_codes(codes: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the most similar other code and the least similar code of each code.

    The similarity is the cosine, by which the tokenizer assigns codes and the token distance term of the paper
    (equation 1) weighs them.

    Args:
        codes: float (k, c).

    Returns:
        Indices of the nearest and of the furthest codes, int64 (k,) each.
    """
    unit = F.normalize(codes.float(), dim=-1)
    similarity = unit @ unit.T
    furthest = similarity.argmin(1)
    nearest = similarity.fill_diagonal_(-2).argmax(1)  # less than any cosine
    return nearest.cpu().numpy(), furthest.cpu().numpy()


def reconstructions_with_swapped_codes(
    model: WorldModel, frames: Frames, keep: int | None = None
) -> SwappedReconstructions:
    """Decode frames from their tokens, from each token's nearest code and from its furthest code (figure 5).

    Args:
        model: The world model.
        frames: uint8 (b, t, s, s, 3).
        keep: A token left as it is. The paper keeps the static token: where most of a frame is that token, anything
            else in its place destroys the frame whatever the other codes are.
    """
    tokens = encode_clips(model, frames)
    tables = nearest_and_furthest_codes(model.tokenizer.codebook.codes)
    swapped = (np.where(tokens == keep, tokens, table[tokens]) for table in tables)
    return SwappedReconstructions(*(decode_clips(model, chosen) for chosen in (tokens, *swapped)))


def code_usage(model: WorldModel, tokens: np.ndarray) -> CodeUsage:
    """Return the usage of the tokenizer's codes in tokens int64 of any shape."""
    codebook = model.tokenizer.codebook
    idle = int((codebook.usage < codebook.min_usage).sum())
    return CodeUsage(np.bincount(tokens.ravel(), minlength=len(codebook.codes)), idle)


def static_token(tokens: np.ndarray, frames: Frames) -> StaticToken:
    """Find the static token, from each clip's second frame on.

    Args:
        tokens: int64 (b, t, n).
        frames: uint8 (b, t, s, s, 3).
    """
    side = int(tokens.shape[2] ** 0.5)
    static = rearrange(patch_changes(frames, side) <= STATIC_LEVELS, "b t h w -> b t (h w)")
    now, kept = tokens[:, 1:], tokens[:, 1:] == tokens[:, :-1]
    token = int(np.bincount(now[static] if static.any() else now.ravel()).argmax())
    shares = [_mean(what[where]) for what in (now == token, kept) for where in (static, ~static)]
    return StaticToken(token, _mean(static), *shares)


def patch_changes(frames: Frames, side: int, offset: int = 1) -> np.ndarray:
    """Return the largest change of any pixel in each patch since an earlier frame.

    Args:
        frames: uint8 (b, t, s, s, 3).
        side: Patches along one edge.
        offset: Number of frames between both.

    Returns:
        int16 (b, t - offset, side, side), in pixel levels, 0 to 255.
    """
    change = np.abs(frames[:, offset:].astype(np.int16) - frames[:, :-offset]).max(-1)
    return reduce(change, "b t (h p) (w q) -> b t h w", "max", h=side, w=side)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
