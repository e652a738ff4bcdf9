"""Fitting: the only package with world-model optimisers."""

from genie_gym.fit.joint import fit_jointly
from genie_gym.fit.loop import FitConfig, FitReport, fit
from genie_gym.fit.presets import PRESETS, Preset, preset
from genie_gym.fit.stages import fit_decoder, fit_dynamics, fit_latent_actions, fit_tokenizer
from genie_gym.fit.upscaling import UPSCALER_PRESETS, UpscalerPreset, fit_upscaler, upscaler_preset

__all__ = [
    "PRESETS",
    "UPSCALER_PRESETS",
    "FitConfig",
    "FitReport",
    "Preset",
    "UpscalerPreset",
    "fit",
    "fit_decoder",
    "fit_dynamics",
    "fit_jointly",
    "fit_latent_actions",
    "fit_tokenizer",
    "fit_upscaler",
    "preset",
    "upscaler_preset",
]
