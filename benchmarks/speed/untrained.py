"""Untrained world models of the presets' sizes: speed does not depend on the weights."""

from dataclasses import replace
from pathlib import Path

import torch

from genie_gym import games
from genie_gym.training.presets import get_preset
from genie_gym.world_model import Checkpoint, SamplingConfig, WorldModel

__all__ = ["GAME", "SEED", "save_untrained"]

GAME = "Airstriker-Genesis"
SEED = 0  # of the weights, and of everything random where speed is measured


def save_untrained(preset: str, folder: Path, sampling_steps: int) -> Path:
    """Save a checkpoint of a preset's size unless the folder has one; return the folder."""
    if (folder / "config.json").exists():
        return folder
    torch.manual_seed(SEED)
    chosen, spec = get_preset(preset), games.find(GAME)
    tokenizer = chosen.tokenizer.build()
    dynamics = chosen.dynamics_for(len(spec.actions)).build()
    for parameter in [*tokenizer.parameters(), *dynamics.parameters()]:
        if not parameter.any():  # the zeros that residual branches start with
            torch.nn.init.normal_(parameter, std=0.02)
    dynamics.adopt_codebook(tokenizer)  # type: ignore[arg-type]
    side = chosen.tokenizer.size
    contexts = {
        "frames": torch.randint(0, 256, (8, 4, side, side, 3), dtype=torch.uint8),
        "actions": torch.randint(0, len(spec.actions), (8, 3)),
    }
    sampling = replace(SamplingConfig(), steps=sampling_steps)
    Checkpoint(WorldModel(tokenizer, dynamics), spec.to_dict(), contexts, sampling).save(folder)
    return folder
