"""Evaluation of an upscaler against nearest-neighbour and bicubic enlargement."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from genie_gym.data import FramePairs
from genie_gym.metrics.image import Frames, psnr, ssim
from genie_gym.models.upscaler import Upscaler
from genie_gym.utils.images import enlarge, enlarge_bicubic

__all__ = ["UpscalerMetrics", "enlarged", "score_upscaler"]

BATCH_SIZE = 16


@dataclass(frozen=True)
class UpscalerMetrics:
    """Mean similarity of enlarged frames to the real high-resolution frames.

    Attributes:
        psnr: PSNR in dB.
        ssim: Structural similarity.
    """

    psnr: float
    ssim: float


def score_upscaler(
    upscaler: Upscaler, pairs: FramePairs, frames: int = 256, transform: Callable[[Frames], Frames] = lambda low: low
) -> dict[str, UpscalerMetrics]:
    """Compare enlarged frames with the real high-resolution frames.

    Args:
        upscaler: On any device.
        pairs: Frames that it was not trained on.
        frames: Most frames to use; they are evenly spaced, and the same at each call.
        transform: Applied to the small frames, uint8 (b, s, s, 3), before they are enlarged.

    Returns:
        Metrics of "nearest", "bicubic" and "upscaler".
    """
    scores: dict[str, list[tuple[float, float]]] = {}
    sizes = []
    for low, high in pairs.evenly(frames, BATCH_SIZE):
        sizes.append(len(low))
        for name, drawn in enlarged(upscaler, transform(low)).items():
            scores.setdefault(name, []).append((float(psnr(drawn, high).mean()), ssim(drawn, high)))
    means = {name: np.average(values, axis=0, weights=sizes).tolist() for name, values in scores.items()}
    return {name: UpscalerMetrics(*values) for name, values in means.items()}


def enlarged(upscaler: Upscaler, low: Frames) -> dict[str, Frames]:
    """Enlarge frames by the upscaler's factor k in three ways.

    Args:
        upscaler: On any device.
        low: uint8 (b, s, s, 3).

    Returns:
        uint8 (b, k s, k s, 3) under "nearest", "bicubic" and "upscaler".
    """
    scale = upscaler.config.scale
    device = next(upscaler.parameters()).device
    return {
        "nearest": enlarge(low, scale),
        "bicubic": enlarge_bicubic(low, scale),
        "upscaler": upscaler.upscale(torch.from_numpy(low).to(device)).cpu().numpy(),
    }
