"""Sizes and recipes with names: `tiny` for two CPU cores, `small` for one consumer GPU, `paper` as published."""

from dataclasses import dataclass, replace
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.fit.loop import FitConfig
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.latent_actions import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True)
class Preset:
    """One size of world model and how it is trained.

    Attributes:
        tokenizer, dynamics: sizes; the dynamics' number of actions is filled in from the data.
        latent_actions: sizes of the latent action model, which only data without actions need.
        fit_tokenizer, fit_dynamics, fit_latent_actions: recipes, with the steps used when no time is given.
        clip_tokenizer: frames in a training clip.
        clips_dynamics: frames in a training clip, one of them drawn for each batch. Many short clips teach how things
            move; a few long ones what takes time: that a message stays for 38 frames, say.
        offset: the dynamics' clips start up to this many frames after the tokenizer's, so that it also learns how
            tokens look far from a clip's first frame, which encodes everything anew.
        clip_latent_actions: frames in a training clip of the latent action model.
        share: of the time given, spent on the tokenizer.
        share_latent_actions: of the time given, spent on the latent action model where there is one; `share` is then
            of the rest.
    """

    tokenizer: TokenizerConfig
    dynamics: DynamicsConfig
    latent_actions: LatentActionConfig
    fit_tokenizer: FitConfig
    fit_dynamics: FitConfig
    fit_latent_actions: FitConfig
    clip_tokenizer: int = 8
    clip_latent_actions: int = 6
    clips_dynamics: tuple[int, ...] = (8, 32)
    offset: int = 8
    share: float = 0.3
    share_latent_actions: float = 0.25

    def dynamics_for(self, actions: int) -> DynamicsConfig:
        """The dynamics of a game with that many actions."""
        return replace(self.dynamics, actions=actions)

    def fits_for(self, minutes: float | None, seed: int) -> tuple[FitConfig, FitConfig]:
        """Recipes of tokenizer and dynamics, by the clock if minutes are given."""
        return (
            _timed(self.fit_tokenizer, minutes, self.share, seed),
            _timed(self.fit_dynamics, minutes, 1 - self.share, seed),
        )

    def latent_fits_for(self, minutes: float | None, seed: int) -> tuple[FitConfig, FitConfig, FitConfig]:
        """Recipes of latent action model, tokenizer and dynamics, by the clock if minutes are given."""
        rest = None if minutes is None else (1 - self.share_latent_actions) * minutes
        return (
            _timed(self.fit_latent_actions, minutes, self.share_latent_actions, seed),
            *self.fits_for(rest, seed),
        )


def _timed(recipe: FitConfig, minutes: float | None, share: float, seed: int) -> FitConfig:
    if minutes is None:
        return replace(recipe, seed=seed)
    return replace(recipe, seed=seed, steps=None, minutes=share * minutes)


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
    # feed-forward layer a block rather than two spares three tenths of the matrix products.
    "tiny": Preset(
        tokenizer=TokenizerConfig(feeds=1),
        dynamics=DynamicsConfig(actions=0, feeds=1),
        latent_actions=LatentActionConfig(patch=16, dim=64, encoder_blocks=1, decoder_blocks=1),
        fit_tokenizer=FitConfig(steps=2400, batch=4, lr=2e-3, validate_every=1000),
        fit_dynamics=FitConfig(steps=5000, batch=4, lr=1.5e-3, validate_every=1000),
        fit_latent_actions=FitConfig(steps=4000, batch=8, lr=3e-3, validate_every=1000),
    ),
    "small": Preset(
        tokenizer=TokenizerConfig(dim=256, window=16, encoder_blocks=4, decoder_blocks=4, warmup=500),
        dynamics=DynamicsConfig(actions=0, dim=256, blocks=8, window=16),
        latent_actions=LatentActionConfig(dim=256, feeds=2, encoder_blocks=4, decoder_blocks=4),
        fit_tokenizer=FitConfig(steps=50_000, batch=32, lr=5e-4, warmup=1000, average=0.999),
        fit_dynamics=FitConfig(steps=50_000, batch=32, lr=5e-4, warmup=1000, average=0.999),
        fit_latent_actions=FitConfig(steps=50_000, batch=32, lr=5e-4, warmup=1000, average=0.999),
        clip_tokenizer=16,
        clips_dynamics=(16,),
        clip_latent_actions=16,
    ),
    # Sizes of the paper and of the authors' configuration: 256 tokens a frame, width 512, 8 + 8 and 12 blocks.
    "paper": Preset(
        tokenizer=TokenizerConfig(
            patch=4, dim=512, heads=8, window=16, encoder_blocks=8, decoder_blocks=8, warmup=1000
        ),
        dynamics=DynamicsConfig(actions=0, dim=512, blocks=12, heads=8, side=16, window=16),
        # Genie's for CoinRun but for its 6 codes: width 512, 8 + 8 blocks, patches of 16 pixels
        latent_actions=LatentActionConfig(
            patch=16, dim=512, heads=8, window=16, feeds=2, encoder_blocks=8, decoder_blocks=8, warmup=1000
        ),
        fit_tokenizer=FitConfig(steps=150_000, **PAPER),
        fit_dynamics=FitConfig(steps=180_000, **PAPER),
        fit_latent_actions=FitConfig(steps=200_000, **PAPER),
        clip_tokenizer=16,
        clips_dynamics=(16,),
        clip_latent_actions=16,
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
