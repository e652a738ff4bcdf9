"""Fitting: the only room with world-model optimisers."""

from genie_gym.fit.loop import FitConfig, FitReport, fit
from genie_gym.fit.presets import PRESETS, Preset, preset
from genie_gym.fit.stages import fit_decoder, fit_dynamics, fit_latent_actions, fit_tokenizer

__all__ = [
    "PRESETS",
    "FitConfig",
    "FitReport",
    "Preset",
    "fit",
    "fit_decoder",
    "fit_dynamics",
    "fit_latent_actions",
    "fit_tokenizer",
    "preset",
]
