"""What the tokenizer's codes mean: pictures with other codes in their place, which codes are used, what is still.

The paper's study of the tokenizer (section 5, figure 5). Shapes: b clips, t frames, n = side * side tokens a frame,
k codes, s side of a frame in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from genie_gym.metrics import Frames, perplexity
from genie_gym.pipeline.tokens import decode, encode
from genie_gym.world_model import WorldModel

__all__ = [
    "SWAPS",
    "CodeUsage",
    "StaticToken",
    "code_usage",
    "largest_changes",
    "neighbours",
    "static_token",
    "swapped_pictures",
]

SWAPS = ("reconstruction", "nearest", "furthest")
STILL = 5  # pixel levels; what changes by no more is still, as for `metrics.moving_pixels`


def neighbours(codes: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """For each of k codes, float (k, c), the most similar other code and the least similar one: int64 (k,) each.

    Similarity is the cosine, by which the tokenizer chooses codes and the paper's distance term (equation 1) weighs
    them.
    """
    unit = F.normalize(codes.float(), dim=-1)
    similarity = unit @ unit.T
    furthest = similarity.argmin(1)
    nearest = similarity.fill_diagonal_(-2).argmax(1)  # less than any cosine
    return nearest.cpu().numpy(), furthest.cpu().numpy()


def swapped_pictures(model: WorldModel, frames: Frames, keep: int | None = None) -> dict[str, Frames]:
    """Figure 5: pictures of the tokens as they are, of each token's nearest code, and of each token's furthest.

    Args:
        frames: uint8 (b, t, s, s, 3).
        keep: a token left as it is. The paper keeps the static one: where most of a picture is that token, anything
            else in its place destroys the picture whatever the other codes are.

    Returns:
        uint8 (b, t, s, s, 3) under each name of SWAPS.
    """
    tokens = encode(model, frames)
    nearest, furthest = neighbours(model.tokenizer.codebook.codes)
    swapped = (np.where(tokens == keep, tokens, table[tokens]) for table in (nearest, furthest))
    return {name: decode(model, chosen) for name, chosen in zip(SWAPS, (tokens, *swapped), strict=True)}


@dataclass(frozen=True)
class CodeUsage:
    """How a codebook is used in some frames.

    Attributes:
        counts: int64 (k,), how often each code was chosen.
        idle: codes that hardly anything chose when the training ended, by the codebook's own running count.
    """

    counts: np.ndarray
    idle: int

    @property
    def used(self) -> int:
        """Codes chosen at all."""
        return int(np.count_nonzero(self.counts))

    @property
    def perplexity(self) -> float:
        """How many codes it would be, were they used evenly."""
        return perplexity(self.counts)


def code_usage(model: WorldModel, tokens: np.ndarray) -> CodeUsage:
    """The usage of the tokenizer's codes in tokens int64 of any shape."""
    codebook = model.tokenizer.codebook
    idle = int((codebook.usage < codebook.idle).sum())
    return CodeUsage(np.bincount(tokens.ravel(), minlength=len(codebook.codes)), idle)


@dataclass(frozen=True)
class StaticToken:
    """The token that patches get which do not change, and how special it is. Shares lie in 0 to 1, nan of nothing.

    Attributes:
        token: the most frequent one of still patches.
        still: share of patches that are still.
        share: share of the still patches that have this token; near 1 where a tokenizer encodes change alone.
        moving_share: share of the others that have it.
        kept: share of the still patches that have the same token as in the frame before.
        moving_kept: share of the others that do.
    """

    token: int
    still: float
    share: float
    moving_share: float
    kept: float
    moving_kept: float


def static_token(tokens: np.ndarray, frames: Frames) -> StaticToken:
    """Looks for it in tokens int64 (b, t, n) of frames uint8 (b, t, s, s, 3), from each clip's second frame on."""
    side = int(tokens.shape[2] ** 0.5)
    still = rearrange(largest_changes(frames, side) <= STILL, "b t h w -> b t (h w)")
    now, kept = tokens[:, 1:], tokens[:, 1:] == tokens[:, :-1]
    token = int(np.bincount(now[still] if still.any() else now.ravel()).argmax())
    shares = [_mean(what[where]) for what in (now == token, kept) for where in (still, ~still)]
    return StaticToken(token, _mean(still), *shares)


def largest_changes(frames: Frames, side: int, apart: int = 1) -> np.ndarray:
    """How much the pixel that changes most does so, in each patch, since an earlier frame.

    Args:
        frames: uint8 (b, t, s, s, 3).
        side: patches along one edge.
        apart: how much earlier that frame is.

    Returns:
        int16 (b, t - apart, side, side), in pixel levels, 0 to 255.
    """
    change = np.abs(frames[:, apart:].astype(np.int16) - frames[:, :-apart]).max(-1)
    return reduce(change, "b t (h p) (w q) -> b t h w", "max", h=side, w=side)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
