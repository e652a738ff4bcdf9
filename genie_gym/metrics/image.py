"""Similarity of predicted frames to real ones, all uint8 images (..., height, width, 3)."""

import numpy as np
import torch
from einops import rearrange

__all__ = ["Frames", "frechet_distance", "moving_pixels", "moving_psnr", "mse", "psnr", "ssim"]

Frames = np.ndarray
MAX_PSNR = 60.0  # dB, the PSNR of equal frames


def mse(predicted: Frames, real: Frames, where: np.ndarray | None = None) -> float:
    """Return the mean squared error in squared pixel levels, 0 to 65,025, pooled over all frames.

    Args:
        predicted: Frames (..., h, w, 3).
        real: Frames of the same shape.
        where: Pixels to compare, bool (..., h, w); all of them by default.

    Returns:
        The error; NaN if there is no pixel to compare.
    """
    error = np.square(predicted.astype(np.float64) - real.astype(np.float64))
    chosen = error if where is None else error[where]
    return float(chosen.mean()) if chosen.size else float("nan")


def psnr(predicted: Frames, real: Frames) -> np.ndarray:
    """Return the peak signal-to-noise ratio of each frame in dB: (..., h, w, 3) twice to float64 (...).

    Equal frames score 60 dB instead of infinity, so that means stay finite.
    """
    return _decibels(np.square(predicted.astype(np.float64) - real.astype(np.float64)).mean((-3, -2, -1)))


def moving_psnr(predicted: Frames, real: Frames, moving: np.ndarray) -> float:
    """Return the PSNR in dB over the pixels in `moving` (..., h, w), pooled over all frames; NaN if there are none."""
    return float(_decibels(np.array(mse(predicted, real, moving))))


def moving_pixels(clip: Frames, threshold: int = 5) -> np.ndarray:
    """Mark the pixels of a clip that differ from its median frame by more than `threshold` levels.

    A black frame already scores 23 dB in a dark game, and whole-frame PSNR hardly notices a sprite that vanished.
    Metrics over moving pixels do.

    Args:
        clip: Frames (..., t, h, w, 3).
        threshold: Pixel levels, 0 to 255.

    Returns:
        bool (..., t, h, w).
    """
    median = np.median(clip, axis=-4, keepdims=True)
    return np.abs(clip - median).max(-1) > threshold


def ssim(predicted: Frames, real: Frames) -> float:
    """Return the mean structural similarity (Wang et al. 2004, Gaussian window of 11) of frames (..., h, w, 3)."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = (rearrange(torch.from_numpy(x), "... h w c -> (...) c h w").float() / 255 for x in (predicted, real))
    value = structural_similarity_index_measure(a, b, data_range=1.0)
    assert isinstance(value, torch.Tensor)  # a tuple only if the full similarity image is requested
    return float(value)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Frechet distance between Gaussians fitted to two sets of features.

    This is the formula of FID on features of one's own choice, so it is comparable only with itself.

    Args:
        a: float (samples, features).
        b: float (samples, features), with as many features.
    """
    mean = np.square(a.mean(0) - b.mean(0)).sum()
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # trace((AB)^1/2) is the sum of the roots of AB's eigenvalues, which are real and not negative
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0))
    return float(mean + np.trace(first) + np.trace(second) - 2 * roots.sum())


def _decibels(error: np.ndarray) -> np.ndarray:
    """Convert a mean squared error in squared pixel levels to PSNR."""
    return 10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 / 10 ** (MAX_PSNR / 10)))
