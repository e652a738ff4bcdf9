"""Similarity of clips of frames to the real ones.

Shapes: b clips, h frames of each, s side of a frame in pixels.
"""

import numpy as np
from einops import reduce

from genie_gym.evaluation.results import ReconstructionMetrics, StepMetrics
from genie_gym.metrics.image import Frames, frechet_distance, moving_psnr, mse, psnr, ssim

__all__ = ["reconstruction_metrics", "step_metrics", "thumbnails"]

THUMBNAIL = 8  # pixels, side of a thumbnail
BATCH_SIZE = 1000  # frames turned into thumbnails at a time


def step_metrics(shown: Frames, real: Frames, moving: np.ndarray) -> StepMetrics:
    """Compare predicted frames with real ones, step by step.

    Args:
        shown: Predicted frames, uint8 (b, h, s, s, 3).
        real: Real frames of the same shape.
        moving: Moving pixels, bool (b, h, s, s).
    """
    pairs = [(shown[:, t], real[:, t], moving[:, t]) for t in range(shown.shape[1])]
    everywhere, by_clip = np.ones_like(moving[:, 0]), psnr(shown, real)
    clips = len(by_clip)
    return StepMetrics(
        mse=[mse(frames, target) for frames, target, _ in pairs],
        moving_mse=[mse(*pair) for pair in pairs],
        psnr=list(by_clip.mean(0)),
        psnr_error=list(by_clip.std(0, ddof=1) / np.sqrt(clips)) if clips > 1 else [np.nan] * by_clip.shape[1],
        pooled_psnr=[moving_psnr(frames, target, everywhere) for frames, target, _ in pairs],
        moving_psnr=[moving_psnr(*pair) for pair in pairs],
        ssim=_ssim(shown, real),
        frechet=_frechet(shown, real),
    )


def reconstruction_metrics(shown: Frames, real: Frames, moving: np.ndarray) -> ReconstructionMetrics:
    """Compare reconstructed frames with real ones; arguments as for `step_metrics`."""
    return ReconstructionMetrics(
        mse=mse(shown, real),
        moving_mse=mse(shown, real, moving),
        psnr=float(psnr(shown, real).mean()),
        moving_psnr=moving_psnr(shown, real, moving),
        ssim=float(np.mean(_ssim(shown, real))),
        frechet=_frechet(shown, real),
    )


def thumbnails(frames: Frames) -> np.ndarray:
    """Return area means over an 8 x 8 grid: uint8 (..., s, s, 3) to float (frames, 192), in pixel levels."""
    side = frames.shape[-2] // THUMBNAIL
    flat = frames.reshape(-1, *frames.shape[-3:])
    batches = (flat[i : i + BATCH_SIZE].astype(np.float32) for i in range(0, len(flat), BATCH_SIZE))
    return np.concatenate([reduce(batch, "n (h p) (w q) k -> n (h w k)", "mean", p=side, q=side) for batch in batches])


def _ssim(shown: Frames, real: Frames) -> list[float]:
    """By step: all frames of a large evaluation at once would fill the memory."""
    return [ssim(shown[:, t], real[:, t]) for t in range(shown.shape[1])]


def _frechet(shown: Frames, real: Frames) -> float:
    return frechet_distance(thumbnails(shown), thumbnails(real))
