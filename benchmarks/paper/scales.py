"""Sizes of the tables' runs, from a check of the machinery in a minute to the paper's own."""

from dataclasses import dataclass, field, replace
from typing import Any

from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.lam import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.sb3 import ExplorerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.presets import get_preset

__all__ = ["SCALES", "Scale"]

STAGES = ("tokenizer_training", "lam_training", "dynamics_training")  # fields of a preset


@dataclass(frozen=True)
class Scale:
    """Sizes of data, models and training runs; frames are counted in agent steps.

    Attributes:
        about: Purpose and duration.
        preset: Preset of the world models.
        frames: Frames of each training dataset.
        test_frames: Frames of each test dataset.
        max_steps: Longest episode.
        agent_steps: Steps of the agent on the game's own reward, whose episodes are the diverse test set.
        explore_steps: Steps of an explorer.
        train_steps: Optimiser steps of tokenizer, latent action model and dynamics; None for the preset's own.
        more_steps: Optimiser steps of the dynamics when a model of many games is finetuned (the paper's 100,000).
        finefinetune_steps: Optimiser steps of the dynamics in a refit on one game (the paper's 10,000).
        decoder_steps: Optimiser steps of the decoder before both of these (the paper's 1,000).
        clips: Clips that a model is scored on.
        horizon: Frames predicted of each clip.
        seeds: Number of seeds of models and explorers; datasets and the agents on the game's reward are shared.
        codes: Number of latent actions.
        envs: Copies of the game that agents learn in.
        explorer: Fields of ExplorerConfig to replace.
        toy: Whether the models have only a few thousand parameters and the game is the toy.
    """

    about: str
    preset: str
    frames: int
    test_frames: int
    max_steps: int
    agent_steps: int
    explore_steps: int
    train_steps: tuple[int, int, int] | None
    more_steps: int
    finetune_steps: int
    decoder_steps: int
    clips: int
    horizon: int = 10
    seeds: int = 3
    codes: int = 8
    envs: int = 8
    explorer: dict[str, Any] = field(default_factory=dict)
    toy: bool = False

    def explorer_config(self) -> ExplorerConfig:
        """Return how explorers learn."""
        return ExplorerConfig(**self.explorer)

    def preset_overrides(self, **dynamics: Any) -> dict[str, Any]:
        """Return overrides of the preset.

        Args:
            dynamics: Fields of the dynamics' configuration to replace, such as tdce=0.
        """
        overrides = _toy_models() if self.toy else {}
        chosen = replace(get_preset(self.preset), **overrides)
        overrides["dynamics"] = replace(chosen.dynamics, **dynamics)
        if self.train_steps is not None:
            for stage, steps in zip(STAGES, self.train_steps, strict=True):
                overrides[stage] = replace(getattr(chosen, stage), steps=steps)
        return overrides


def _toy_models() -> dict[str, Any]:
    """Return overrides for models so small that training one takes a second."""
    shared: dict[str, Any] = {"dim": 16, "heads": 2, "window": 6}
    codebook: dict[str, Any] = {"codes": 32, "code_dim": 4}
    stage = TrainerConfig(steps=10, batch_size=2, lr=5e-3, warmup=2, ema_decay=0.5, validate_every=100)
    blocks = {"encoder_blocks": 1, "decoder_blocks": 1}
    return {
        "tokenizer": TokenizerConfig(patch=16, feed_forwards=1, **blocks, **shared, **codebook),
        "dynamics": DynamicsConfig(0, blocks=1, side=4, feed_forwards=1, **shared, **codebook),
        "lam": LatentActionConfig(patch=16, drawing_dim=8, **blocks, **shared),
        "tokenizer_training": stage,
        "dynamics_training": stage,
        "lam_training": stage,
        "tokenizer_clip_length": 4,
        "lam_clip_length": 4,
        "dynamics_clip_lengths": (6,),
        "dynamics_max_offset": 2,
    }


SCALES = {
    "smoke": Scale(
        about="a check of the machinery: all tables on the toy game in a minute; its figures mean nothing",
        preset="tiny-transformer",
        frames=240,
        test_frames=120,
        max_steps=40,
        agent_steps=32,
        explore_steps=32,
        train_steps=(12, 12, 12),
        more_steps=4,
        finetune_steps=4,
        decoder_steps=3,
        clips=6,
        horizon=4,
        seeds=1,
        codes=4,
        envs=2,
        explorer={"n_steps": 16, "batch_size": 32, "n_epochs": 1, "lstm_hidden_size": 8},
        toy=True,
    ),
    # On one core a tokenizer took 6 to 50 minutes and each dynamics 15 to 30, by the machine (results/paper/*.json).
    "cpu": Scale(
        about="two CPU cores: 1 to 2 hours a seed for tables 2 and 4, by estimate as much for 3, 5 and 6",
        preset="tiny-transformer",
        frames=20_000,
        test_frames=5_000,
        max_steps=500,
        agent_steps=100_000,
        explore_steps=50_000,
        train_steps=(1600, 2000, 2500),
        more_steps=1200,
        finetune_steps=1200,
        decoder_steps=500,
        clips=128,
    ),
    "gpu": Scale(
        about="one GPU: the preset `small`, ten times the data",
        preset="small",
        frames=200_000,
        test_frames=20_000,
        max_steps=500,
        agent_steps=2_000_000,
        explore_steps=200_000,
        train_steps=None,
        more_steps=20_000,
        finetune_steps=10_000,
        decoder_steps=1000,
        clips=512,
        envs=16,
    ),
    # 10,000 episodes a case study; 600 epochs of 1,000 steps for the explorer.
    "paper": Scale(
        about="the published sizes, for a machine with several large GPUs",
        preset="paper",
        frames=4_000_000,
        test_frames=200_000,
        max_steps=500,
        agent_steps=25_000_000,
        explore_steps=600_000,
        train_steps=None,
        more_steps=100_000,
        finetune_steps=10_000,
        decoder_steps=1000,
        clips=4096,
        seeds=1,
    ),
}
