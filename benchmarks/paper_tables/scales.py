"""How large a table's arms are: from a minute's check of the machinery to the paper's own sizes."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["SCALES", "Scale"]

STAGES = ("fit_tokenizer", "fit_latent_actions", "fit_dynamics")  # a preset's recipes


@dataclass(frozen=True)
class Scale:
    """Sizes of data, models and trainings; all frames are counted in steps of an agent.

    Attributes:
        about: what it is for, and how long it takes.
        preset: size of the world models.
        frames: recorded to train on, of each game and kind of play.
        test_frames: recorded to score on.
        max_steps: longest episode.
        agent_steps: that the agent on the game's own reward learns from; its play is the diverse test set.
        explore_steps: that an explorer learns from.
        fit_steps: optimiser steps of tokenizer, latent action model and dynamics; None for the preset's own.
        more_steps: of the dynamics where a model of many games goes on with fewer (the paper's 100,000).
        tune_steps: of the dynamics on play of one game (the paper's 10,000).
        decoder_steps: of the decoder before both of these (the paper's 1,000).
        clips, horizon: pieces of play scored, and frames predicted of each, from 2 real ones.
        seeds: of all fits and explorers. Recordings, and the agents on the game's reward, are the same for all.
        codes: latent actions.
        envs: copies of the game that agents learn in.
        explorer: replacements of ExplorerConfig's fields.
        toy: models of a few thousand parameters, on the toy game.
    """

    about: str
    preset: str
    frames: int
    test_frames: int
    max_steps: int
    agent_steps: int
    explore_steps: int
    fit_steps: tuple[int, int, int] | None
    more_steps: int
    tune_steps: int
    decoder_steps: int
    clips: int
    horizon: int = 10
    seeds: int = 3
    codes: int = 8
    envs: int = 8
    explorer: dict[str, Any] = field(default_factory=dict)
    toy: bool = False

    def changes(self, **dynamics: Any) -> dict[str, Any]:
        """Replacements of the preset's fields for `fit_world`.

        Args:
            dynamics: replacements of the dynamics' fields, such as tdce=0.
        """
        from dataclasses import replace

        from genie_gym.fit import preset

        chosen = replace(preset(self.preset), **(_toy_models() if self.toy else {}))
        changes: dict[str, Any] = {"dynamics": replace(chosen.dynamics, **dynamics)}
        if self.toy:
            changes = _toy_models() | changes
        if self.fit_steps is not None:
            for stage, steps in zip(STAGES, self.fit_steps, strict=True):
                changes[stage] = replace(getattr(chosen, stage), steps=steps)
        return changes


def _toy_models() -> dict[str, Any]:
    """Models so small that fitting one takes a second."""
    from genie_gym.fit import FitConfig
    from genie_gym.models.dynamics import DynamicsConfig
    from genie_gym.models.latent_actions import LatentActionConfig
    from genie_gym.models.tokenizer import TokenizerConfig

    shared: dict[str, Any] = {"dim": 16, "heads": 2, "window": 6}
    codebook: dict[str, Any] = {"codes": 32, "code_dim": 4}
    recipe = FitConfig(steps=10, batch=2, lr=5e-3, warmup=2, average=0.5, validate_every=100)
    blocks = {"encoder_blocks": 1, "decoder_blocks": 1}
    return {
        "tokenizer": TokenizerConfig(patch=16, feeds=1, **blocks, **shared, **codebook),
        "dynamics": DynamicsConfig(0, blocks=1, side=4, feeds=1, **shared, **codebook),
        "latent_actions": LatentActionConfig(patch=16, drawing_dim=8, **blocks, **shared),
        "fit_tokenizer": recipe,
        "fit_dynamics": recipe,
        "fit_latent_actions": recipe,
        "clip_tokenizer": 4,
        "clip_latent_actions": 4,
        "clips_dynamics": (6,),
        "offset": 2,
    }


SCALES = {
    "smoke": Scale(
        about="does everything work? all tables on the toy game in a minute; its figures mean nothing",
        preset="tiny",
        frames=240,
        test_frames=120,
        max_steps=40,
        agent_steps=32,
        explore_steps=32,
        fit_steps=(12, 12, 12),
        more_steps=4,
        tune_steps=4,
        decoder_steps=3,
        clips=6,
        horizon=4,
        seeds=1,
        codes=4,
        envs=2,
        explorer={"steps": 16, "batch": 32, "epochs": 1, "lstm": 8},
        toy=True,
    ),
    # On one core a tokenizer took 6 to 50 minutes and each dynamics 15 to 30, by the machine (results/paper/*.json).
    "cpu": Scale(
        about="two CPU cores: 1 to 2 hours a seed for tables 2 and 4, by reckoning as much for 3, 5 and 6",
        preset="tiny",
        frames=20_000,
        test_frames=5_000,
        max_steps=500,
        agent_steps=100_000,
        explore_steps=50_000,
        fit_steps=(1600, 2000, 2500),
        more_steps=1200,
        tune_steps=1200,
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
        fit_steps=None,
        more_steps=20_000,
        tune_steps=10_000,
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
        fit_steps=None,
        more_steps=100_000,
        tune_steps=10_000,
        decoder_steps=1000,
        clips=4096,
        seeds=1,
    ),
}
