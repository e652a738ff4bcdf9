"""Sizes and recipes of the upscaler with names, and which pictures feed it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from genie_gym.data import Pairs
from genie_gym.errors import ConfigError
from genie_gym.fit.loop import FitConfig, FitReport, fit
from genie_gym.frames import from_model, strip, to_model
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.precision import autocast, resolve

__all__ = ["UPSCALER_PRESETS", "UpscalerPreset", "fit_upscaler", "upscaler_preset"]

VALIDATED = 128  # held-out frames looked at in each validation: as many tell it to a tenth of a decibel
SHOWN = 4  # of them in TensorBoard


@dataclass(frozen=True)
class UpscalerPreset:
    """One size of upscaler and how it is trained.

    Attributes:
        model: sizes.
        recipe: how long and how fast, with the steps used when no time is given.
        crop: side in pixels of the pieces of small pictures trained on. Many small pieces of different frames teach
            more than few whole frames, but each has a large frame to be read.
    """

    model: UpscalerConfig
    recipe: FitConfig
    crop: int = 64

    def recipe_for(self, minutes: float | None, seed: int) -> FitConfig:
        """The recipe, by the clock if minutes are given."""
        if minutes is None:
            return replace(self.recipe, seed=seed)
        return replace(self.recipe, seed=seed, steps=None, minutes=minutes)


UPSCALER_PRESETS = {
    # 0.9 billion operations a frame: dreams on one core still run at thirty frames a second with it
    "tiny": UpscalerPreset(
        model=UpscalerConfig(),
        recipe=FitConfig(steps=4000, batch=16, lr=2e-3, validate_every=1000),
        crop=32,
    ),
    "small": UpscalerPreset(
        model=UpscalerConfig(widths=(64, 128, 192), blocks=2),
        recipe=FitConfig(steps=50_000, batch=16, lr=1e-3, average=0.999, validate_every=2000),
    ),
    # The main part of the paper says "U-Net" and 50,000 samples, but no sizes: as large as they are usually made.
    "paper": UpscalerPreset(
        model=UpscalerConfig(widths=(128, 256, 384, 512), blocks=4),
        recipe=FitConfig(steps=200_000, batch=16, lr=3e-4, average=0.999, warmup=1000, validate_every=5000),
    ),
}


def upscaler_preset(name: str) -> UpscalerPreset:
    """Looks a preset up.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in UPSCALER_PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(UPSCALER_PRESETS)}")
    return UPSCALER_PRESETS[name]


def fit_upscaler(
    model: Upscaler, train: Pairs, held_out: Pairs, config: FitConfig, folder: Path, crop: int | None = None
) -> FitReport:
    """Fits the upscaler to pieces of frames; validates on whole held-out frames.

    The figures are "psnr", the mean PSNR of its pictures in dB, and "bicubic_psnr", that of the same frames enlarged
    bicubically, both before rounding.

    Args:
        crop: side in pixels of the pieces of small pictures trained on; whole ones by default.
    """

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        low, high = train.sample(rng, batch, crop)
        return {"low": to_model(torch.from_numpy(low)), "high": to_model(torch.from_numpy(high))}

    def validate(average: Any) -> dict[str, Any]:
        return _sharpness(average, held_out, config)

    return fit(model, sample, validate, config, folder, name="upscaler")


@torch.no_grad()
def _sharpness(average: Any, held_out: Pairs, config: FitConfig) -> dict[str, Any]:
    """PSNR over evenly spaced held-out frames, and a few of them: bicubic, ours, real."""
    device = next(average.parameters()).device
    ours: list[Tensor] = []
    bicubic: list[Tensor] = []
    shown: list[Tensor] = []
    for low, high in _batches(held_out, device):
        with autocast(resolve(config.precision, device), device):
            drawn = average.enlarge(low).float().clamp(0, 1)
        smooth = F.interpolate(low, high.shape[-2:], mode="bicubic").clamp(0, 1)
        for kept, guess in ((ours, drawn), (bicubic, smooth)):
            kept.append(reduce((guess - high).square(), "b c h w -> b", "mean").cpu())
        if not shown:
            shown = [from_model(torch.stack(three)) for three in zip(smooth, drawn, high, strict=True)][:SHOWN]
    psnr, bicubic_psnr = (-10 * torch.cat(mse).clamp(min=1e-6).log10().mean() for mse in (ours, bicubic))
    picture = strip(torch.cat(shown).cpu().numpy(), columns=3)
    return {"psnr": psnr, "bicubic_psnr": bicubic_psnr, "bicubic_ours_real": picture[None]}


def _batches(pairs: Pairs, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for low, high in pairs.evenly(VALIDATED, 8):
        yield to_model(torch.from_numpy(low).to(device)), to_model(torch.from_numpy(high).to(device))
