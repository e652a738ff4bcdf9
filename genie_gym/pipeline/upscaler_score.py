"""How good an upscaler's pictures are, beside the same frames enlarged with no knowledge of the game."""

from collections.abc import Callable

import numpy as np
import torch

from genie_gym.data import Pairs
from genie_gym.frames import enlarge, enlarge_bicubic
from genie_gym.metrics import Frames, psnr, ssim
from genie_gym.models.upscaler import Upscaler

__all__ = ["enlarged", "score_upscaler"]

TOGETHER = 16


def score_upscaler(
    upscaler: Upscaler, pairs: Pairs, frames: int = 256, seen: Callable[[Frames], Frames] = lambda low: low
) -> dict[str, dict[str, float]]:
    """Means over evenly spaced frames, the same at each call.

    Args:
        upscaler: on any device.
        pairs: frames that it was not fitted to.
        frames: how many to look at, at most.
        seen: what happens to the small frames, uint8 (b, s, s, 3), before they are enlarged; nothing by default.

    Returns:
        "psnr" in dB and "ssim" of "nearest", "bicubic" and "upscaler", against the real large frames.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    sizes = []
    for low, high in pairs.evenly(frames, TOGETHER):
        sizes.append(len(low))
        for name, drawn in enlarged(upscaler, seen(low)).items():
            kept = scores.setdefault(name, {"psnr": [], "ssim": []})
            kept["psnr"].append(float(psnr(drawn, high).mean()))
            kept["ssim"].append(ssim(drawn, high))
    return {
        name: {metric: float(np.average(values, weights=sizes)) for metric, values in kept.items()}
        for name, kept in scores.items()
    }


def enlarged(upscaler: Upscaler, low: Frames) -> dict[str, Frames]:
    """Small frames uint8 (b, s, s, 3) as "nearest", "bicubic" and "upscaler" draw them, uint8 (b, k s, k s, 3) each."""
    scale = upscaler.config.scale
    device = next(upscaler.parameters()).device
    return {
        "nearest": enlarge(low, scale),
        "bicubic": enlarge_bicubic(low, scale),
        "upscaler": upscaler.upscale(torch.from_numpy(low).to(device)).cpu().numpy(),
    }
