"""How close predicted frames are to real ones, uint8 pictures (..., h, w, 3), and latent actions to true ones."""

import numpy as np
import torch
from einops import rearrange

__all__ = [
    "count_pairs",
    "frechet_distance",
    "moving_pixels",
    "moving_psnr",
    "mutual_information",
    "one_to_one_accuracy",
    "perplexity",
    "psnr",
    "ssim",
]

Frames = np.ndarray


def psnr(predicted: Frames, real: Frames) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of each picture: (..., h, w, 3) twice to float64 (...).

    Equal pictures give 60 dB rather than infinity, so that means stay finite.
    """
    error = np.square(predicted.astype(np.float64) - real.astype(np.float64)).mean((-3, -2, -1))
    return 10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 / 1e6))


def moving_pixels(clip: Frames, threshold: int = 5) -> np.ndarray:
    """Where a clip (..., t, h, w, 3) is more than `threshold` levels off its median frame: bool (..., t, h, w).

    A black screen already scores 23 dB in a dark game, and whole-frame PSNR forgives a sprite that vanished; the
    pixels that move are the game.
    """
    median = np.median(clip, axis=-4, keepdims=True)
    return np.abs(clip - median).max(-1) > threshold


def moving_psnr(predicted: Frames, real: Frames, moving: np.ndarray) -> float:
    """PSNR in dB over the pixels that `moving` (..., h, w) marks, pooled over all pictures; nan if there are none."""
    if not moving.any():
        return float("nan")
    error = np.square(predicted.astype(np.float64) - real.astype(np.float64))[moving].mean()
    return float(10 * np.log10(255.0**2 / max(error, 255.0**2 / 1e6)))


def ssim(predicted: Frames, real: Frames) -> float:
    """Mean structural similarity (Wang et al. 2004, Gaussian window of 11) of pictures (..., h, w, 3)."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = (rearrange(torch.from_numpy(x), "... h w c -> (...) c h w").float() / 255 for x in (predicted, real))
    value = structural_similarity_index_measure(a, b, data_range=1.0)
    assert isinstance(value, torch.Tensor)  # a tuple only where the whole picture is asked for
    return float(value)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance between Gaussians fitted to two sets of features, float (samples, features) each.

    This is the formula of FID on features of one's own choice; it is only comparable with itself.
    """
    mean = np.square(a.mean(0) - b.mean(0)).sum()
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # trace((AB)^1/2) is the sum of the roots of AB's eigenvalues, which are real and not negative
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0))
    return float(mean + np.trace(first) + np.trace(second) - 2 * roots.sum())


def count_pairs(codes: np.ndarray, actions: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """How often each code met each action: two int64 arrays of one shape, not negative, to int64 (codes, actions).

    Args:
        size: how many codes and actions there are; by default those up to the largest met.
    """
    counts = np.zeros(size or (codes.max() + 1, actions.max() + 1), np.int64)
    np.add.at(counts, (codes.ravel(), actions.ravel()), 1)
    return counts


def mutual_information(counts: np.ndarray) -> float:
    """What two labellings tell of each other over the mean of their entropies: 0 nothing, 1 everything.

    Args:
        counts: int64 (codes, actions), see `count_pairs`; nan where both are always the same.
    """
    joint = counts / counts.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    mean = (_entropy(rows) + _entropy(columns)) / 2
    return float((2 * mean - _entropy(joint)) / mean) if mean else float("nan")


def perplexity(counts: np.ndarray) -> float:
    """How many codes it would be, were they used evenly: of how often each was used, of any shape."""
    return float(np.exp(_entropy(counts / counts.sum())))


def _entropy(probabilities: np.ndarray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())


def one_to_one_accuracy(counts: np.ndarray) -> float:
    """Share of pairs (counts as of `count_pairs`) that agree under the best map which gives no two codes one action
    and no two actions one code. Of all maps, exactly; nan where the fewer of the two are more than 16, as its time
    doubles with each.
    """
    longer = counts if counts.shape[0] >= counts.shape[1] else counts.T
    if longer.shape[1] > 16:
        return float("nan")
    given = np.arange(2 ** longer.shape[1])  # sets of columns, one bit each
    best = np.where(given == 0, 0, -1)  # most pairs agreed with those columns given away; -1 not yet possible
    for row in longer:
        before = best.copy()
        for column, count in enumerate(row.tolist()):
            free = given[(given >> column & 1 == 0) & (before >= 0)]
            taken = free | 1 << column
            best[taken] = np.maximum(best[taken], before[free] + count)
    return float(best.max() / counts.sum())
