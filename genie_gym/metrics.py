"""How close predicted frames are to real ones: pure functions over uint8 pictures (..., h, w, 3)."""

import numpy as np
import torch
from einops import rearrange

__all__ = ["frechet_distance", "moving_pixels", "moving_psnr", "psnr", "ssim"]

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
