"""Sizes and recipes with names: `tiny` for two CPU cores, `small` for one consumer GPU, `paper` as published."""

from dataclasses import dataclass, replace
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.fit.loop import FitConfig
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.tokenizer import TokenizerConfig

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True)
class Preset:
    """One size of world model and how it is trained.

    Attributes:
        tokenizer, dynamics: sizes; the dynamics' number of actions is filled in from the data.
        fit_tokenizer, fit_dynamics: recipes, with the steps used when no time is given.
        clip_tokenizer: frames in a training clip.
        clips_dynamics: frames in a training clip, one of them drawn for each batch. Many short clips teach how things
            move; a few long ones what takes time: that a message stays for 38 frames, say.
        offset: the dynamics' clips start up to this many frames after the tokenizer's, so that it also learns how
            tokens look far from a clip's first frame, which encodes everything anew.
        share: of the time given, spent on the tokenizer.
    """

    tokenizer: TokenizerConfig
    dynamics: DynamicsConfig
    fit_tokenizer: FitConfig
    fit_dynamics: FitConfig
    clip_tokenizer: int = 8
    clips_dynamics: tuple[int, ...] = (8, 32)
    offset: int = 8
    share: float = 0.3

    def dynamics_for(self, actions: int) -> DynamicsConfig:
        """The dynamics of a game with that many actions."""
        return replace(self.dynamics, actions=actions)

    def fits_for(self, minutes: float | None, seed: int) -> tuple[FitConfig, FitConfig]:
        """Recipes of tokenizer and dynamics, by the clock if minutes are given."""
        recipes = replace(self.fit_tokenizer, seed=seed), replace(self.fit_dynamics, seed=seed)
        if minutes is None:
            return recipes
        shares = self.share * minutes, (1 - self.share) * minutes
        first, second = (replace(r, steps=None, minutes=m) for r, m in zip(recipes, shares, strict=True))
        return first, second


# The paper's 84 clips a step, in pieces that should fit a card of 24 GB.
PAPER: Any = {
    "batch": 12,
    "accumulate": 7,
    "recompute": True,
    "lr": 1e-4,
    "final_lr": 0.5,
    "warmup": 5000,
    "average": 0.999,
}

PRESETS = {
    # 64 tokens a frame and a window of 8 frames: what two cores can train in minutes and step in real time. One
    # feed-forward layer a block rather than two spares a third of the work.
    "tiny": Preset(
        tokenizer=TokenizerConfig(feeds=1),
        dynamics=DynamicsConfig(actions=0, feeds=1),
        fit_tokenizer=FitConfig(steps=2400, batch=4, lr=2e-3, validate_every=1000),
        fit_dynamics=FitConfig(steps=5000, batch=4, lr=1.5e-3, validate_every=1000),
    ),
    "small": Preset(
        tokenizer=TokenizerConfig(dim=256, window=16, encoder_blocks=4, decoder_blocks=4, warmup=500),
        dynamics=DynamicsConfig(actions=0, dim=256, blocks=8, window=16),
        fit_tokenizer=FitConfig(steps=50_000, batch=32, lr=5e-4, warmup=1000, average=0.999),
        fit_dynamics=FitConfig(steps=50_000, batch=32, lr=5e-4, warmup=1000, average=0.999),
        clip_tokenizer=16,
        clips_dynamics=(16,),
    ),
    # Sizes of the paper and of the authors' configuration: 256 tokens a frame, width 512, 8 + 8 and 12 blocks.
    "paper": Preset(
        tokenizer=TokenizerConfig(
            patch=4, dim=512, heads=8, window=16, encoder_blocks=8, decoder_blocks=8, warmup=1000
        ),
        dynamics=DynamicsConfig(actions=0, dim=512, blocks=12, heads=8, side=16, window=16),
        fit_tokenizer=FitConfig(steps=150_000, **PAPER),
        fit_dynamics=FitConfig(steps=180_000, **PAPER),
        clip_tokenizer=16,
        clips_dynamics=(16,),
    ),
}


def preset(name: str) -> Preset:
    """Looks a preset up.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
