"""Presets of the upscaler, and its training on pairs of small and large frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from genie_gym.data import FramePairs
from genie_gym.errors import ConfigError
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport, run_training
from genie_gym.training.presets import timed
from genie_gym.utils.images import from_model, grid, to_model
from genie_gym.utils.precision import autocast, resolve_precision

__all__ = ["UPSCALER_PRESETS", "UpscalerPreset", "get_upscaler_preset", "train_upscaler"]

NUM_VALIDATED = 128  # held-out frames in each validation, enough for a tenth of a decibel
NUM_SHOWN = 4  # of them in TensorBoard


@dataclass(frozen=True)
class UpscalerPreset:
    """One size of upscaler and how it is trained.

    Attributes:
        model: Sizes.
        training: Recipe, with the steps used when no time is given.
        crop: Side in pixels of the crops of small frames that are trained on.
    """

    model: UpscalerConfig
    training: TrainerConfig
    # Small crops of many frames teach more than few whole frames, but for each a large frame must be read.
    crop: int = 64

    def recipe_for(self, minutes: float | None, seed: int) -> TrainerConfig:
        """Return the recipe, by the clock if minutes are given."""
        return timed(self.training, minutes, 1, seed)


UPSCALER_PRESETS = {
    # 0.9 billion operations a frame: on one core rollouts still run at thirty frames a second with it.
    "tiny": UpscalerPreset(
        model=UpscalerConfig(),
        training=TrainerConfig(steps=4000, batch_size=16, lr=2e-3, validate_every=1000),
        crop=32,
    ),
    "small": UpscalerPreset(
        model=UpscalerConfig(widths=(64, 128, 192), blocks=2),
        training=TrainerConfig(steps=50_000, batch_size=16, lr=1e-3, ema_decay=0.999, validate_every=2000),
    ),
    # The main part of the paper says "U-Net" and 50,000 samples, but no sizes: as large as they are usually made.
    "paper": UpscalerPreset(
        model=UpscalerConfig(widths=(128, 256, 384, 512), blocks=4),
        training=TrainerConfig(
            steps=200_000, batch_size=16, lr=3e-4, ema_decay=0.999, warmup=1000, validate_every=5000
        ),
    ),
}


def get_upscaler_preset(name: str) -> UpscalerPreset:
    """Return the preset of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in UPSCALER_PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(UPSCALER_PRESETS)}")
    return UPSCALER_PRESETS[name]


def train_upscaler(
    model: Upscaler,
    train: FramePairs,
    held_out: FramePairs,
    config: TrainerConfig,
    folder: Path,
    crop: int | None = None,
) -> StageReport:
    """Train an upscaler on crops of frames; it is validated on whole held-out frames.

    The metrics are "psnr", the mean PSNR of its frames in dB, and "bicubic_psnr", that of the same frames enlarged
    bicubically, both before rounding.

    Args:
        model: The upscaler, trained in place.
        train: Frames to train on.
        held_out: Frames to validate with.
        config: Length and optimiser.
        folder: Folder of the training state; the run is resumable.
        crop: Side in pixels of the crops of small frames; whole frames by default.
    """

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        low, high = train.sample(rng, batch, crop)
        return {"low": to_model(torch.from_numpy(low)), "high": to_model(torch.from_numpy(high))}

    def validate(average: Any) -> dict[str, Any]:
        return _validate(average, held_out, config)

    return run_training(model, sample, validate, config, folder, name="upscaler")


@torch.no_grad()
def _validate(model: Any, held_out: FramePairs, config: TrainerConfig) -> dict[str, Any]:
    """PSNR over evenly spaced held-out frames, and a few of them: bicubic, upscaled, real."""
    device = next(model.parameters()).device
    ours: list[Tensor] = []
    bicubic: list[Tensor] = []
    shown: list[Tensor] = []
    for low, high in _batches(held_out, device):
        with autocast(resolve_precision(config.precision, device), device):
            upscaled = model.enlarge(low).float().clamp(0, 1)
        smooth = F.interpolate(low, high.shape[-2:], mode="bicubic").clamp(0, 1)
        for errors, guess in ((ours, upscaled), (bicubic, smooth)):
            errors.append(reduce((guess - high).square(), "b c h w -> b", "mean").cpu())
        if not shown:
            shown = [from_model(torch.stack(three)) for three in zip(smooth, upscaled, high, strict=True)][:NUM_SHOWN]
    psnr, bicubic_psnr = (-10 * torch.cat(mse).clamp(min=1e-6).log10().mean() for mse in (ours, bicubic))
    image = grid(torch.cat(shown).cpu().numpy(), columns=3)
    return {"psnr": psnr, "bicubic_psnr": bicubic_psnr, "bicubic_upscaled_real": image[None]}


def _batches(pairs: FramePairs, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for low, high in pairs.evenly(NUM_VALIDATED, 8):
        yield to_model(torch.from_numpy(low).to(device)), to_model(torch.from_numpy(high).to(device))
