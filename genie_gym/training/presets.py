"""Named sizes and training recipes.

`tiny` for two CPU cores, `small` for one consumer GPU, `paper` as published. `tiny` is made of convolutions;
`tiny-transformer` is the architecture of `paper` at a size that two cores train.
"""

from dataclasses import dataclass, replace
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.models.architectures import AnyDynamicsConfig, AnyTokenizerConfig
from genie_gym.models.conv.dynamics import ConvDynamicsConfig
from genie_gym.models.conv.tokenizer import ConvTokenizerConfig
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.lam import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.training.loop.config import TrainerConfig

__all__ = ["PRESETS", "Preset", "get_preset"]


@dataclass(frozen=True)
class Preset:
    """One size of world model and how it is trained.

    Attributes:
        tokenizer: Sizes of the tokenizer.
        dynamics: Sizes of the dynamics; the number of actions is filled in from the dataset.
        lam: Sizes of the latent action model, which only datasets without actions need.
        tokenizer_training: Recipe of the tokenizer, with the steps used when no time is given.
        dynamics_training: Recipe of the dynamics, and of dynamics and latent action model together.
        lam_training: Recipe of the latent action model.
        tokenizer_clip_length: Frames in a training clip of the tokenizer.
        lam_clip_length: Frames in a training clip of the latent action model.
        dynamics_clip_lengths: Frames in a training clip of the dynamics; each batch draws one of them.
        dynamics_max_offset: The dynamics' clips start up to this many frames after the tokenizer's.
        dynamics_moving_choices: Half of the dynamics' clips are the most moving one of so many that are drawn.
        tokenizer_share: Share of the time spent on the tokenizer, after that of the latent action model.
        lam_share: Share of the time spent on the latent action model if there is one.
    """

    tokenizer: AnyTokenizerConfig
    dynamics: AnyDynamicsConfig
    lam: LatentActionConfig
    tokenizer_training: TrainerConfig
    dynamics_training: TrainerConfig
    lam_training: TrainerConfig
    tokenizer_clip_length: int = 8
    lam_clip_length: int = 6
    # Many short clips teach how things move; a few long ones what takes time: that a message stays for 38 frames, say.
    dynamics_clip_lengths: tuple[int, ...] = (8, 32)
    # A clip's first frame encodes everything anew; the dynamics must also learn how tokens look far from it.
    dynamics_max_offset: int = 8
    # In most clips of a platformer nothing but a sprite moves, and those in which the level scrolls teach more.
    dynamics_moving_choices: int = 1
    tokenizer_share: float = 0.3
    lam_share: float = 0.25

    def dynamics_for(self, num_actions: int) -> AnyDynamicsConfig:
        """Return the sizes of the dynamics of a game with that many actions."""
        return replace(self.dynamics, num_actions=num_actions)

    def plan(
        self,
        minutes: float | None,
        seed: int,
        *,
        latent: bool = False,
        joint: bool = False,
        compile: bool = False,
        shard: bool = False,
    ) -> dict[str, TrainerConfig]:
        """Return the stages of a training run in their order, each with its recipe.

        Args:
            minutes: Time of all stages together; None goes by the preset's steps.
            seed: Random seed.
            latent: Whether the actions are latent ones.
            joint: Whether latent action model and dynamics are trained together.
            compile: Whether training steps are compiled.
            shard: Whether the models are divided among the processes.

        Raises:
            ConfigError: They cannot be.
        """
        tokenizer = self.tokenizer_share * (1 - self.lam_share if latent else 1)
        stages = {"tokenizer": (self.tokenizer_training, tokenizer)}
        if joint:
            stages["joint"] = (self.dynamics_training, 1 - tokenizer)
        elif latent:
            stages["latent_actions"] = (self.lam_training, self.lam_share)
            stages["dynamics"] = (self.dynamics_training, 1 - self.lam_share - tokenizer)
        else:
            stages["dynamics"] = (self.dynamics_training, 1 - tokenizer)
        recipes = {name: timed(recipe, minutes, share, seed) for name, (recipe, share) in stages.items()}
        return {
            name: replace(recipe, compile=recipe.compile or compile, shard=shard) for name, recipe in recipes.items()
        }


def timed(recipe: TrainerConfig, minutes: float | None, share: float, seed: int) -> TrainerConfig:
    """Return a recipe that goes by its share of the time if minutes are given, else by its own steps."""
    if minutes is None:
        return replace(recipe, seed=seed)
    return replace(recipe, seed=seed, steps=None, minutes=share * minutes)


# The paper's 84 clips a step, in batches that should fit a card of 24 GB.
PAPER: Any = {
    "batch_size": 12,
    "accumulate": 7,
    "recompute": True,
    "lr": 1e-4,
    "final_lr": 0.5,
    "warmup": 5000,
    "ema_decay": 0.999,
}

PRESETS = {
    # Convolutions: 256 tokens a frame, learned in hours where a transformer takes days, and stepped as fast as a
    # small one.
    "tiny": Preset(
        tokenizer=ConvTokenizerConfig(),
        dynamics=ConvDynamicsConfig(
            num_actions=0,
            changed_weight=2.0,
            independent_weight=6.0,
            predicted_frames=8,  # what a button does shows after some steps
            still_share=0.25,
            max_corruption=0.02,
            history_dropout=0.3,
            rollout_share=1.0,
            rollout_temperature=0.3,
        ),
        lam=LatentActionConfig(patch=16, dim=64, encoder_blocks=1, decoder_blocks=1),
        tokenizer_training=TrainerConfig(
            steps=2400, batch_size=16, lr=2e-3, muon_lr=0.02, warmup=20, validate_every=2000
        ),
        dynamics_training=TrainerConfig(
            steps=8000, batch_size=4, lr=2e-3, muon_lr=0.02, warmup=50, validate_every=2000
        ),
        lam_training=TrainerConfig(steps=4000, batch_size=8, lr=3e-3, validate_every=1000),
        tokenizer_clip_length=2,  # frames are encoded one by one
        dynamics_clip_lengths=(12, 24, 24, 24),
        dynamics_max_offset=0,
        dynamics_moving_choices=4,
        tokenizer_share=0.12,
    ),
    # 64 tokens a frame and a window of 8 frames: what two cores can train in minutes and step in real time. One
    # feed-forward layer a block rather than two spares three tenths of the matrix products.
    "tiny-transformer": Preset(
        tokenizer=TokenizerConfig(feed_forwards=1),
        dynamics=DynamicsConfig(num_actions=0, feed_forwards=1, termination_sees_frame=True),
        lam=LatentActionConfig(patch=16, dim=64, encoder_blocks=1, decoder_blocks=1),
        tokenizer_training=TrainerConfig(steps=2400, batch_size=4, lr=2e-3, validate_every=1000),
        dynamics_training=TrainerConfig(steps=5000, batch_size=4, lr=1.5e-3, validate_every=1000),
        lam_training=TrainerConfig(steps=4000, batch_size=8, lr=3e-3, validate_every=1000),
    ),
    "small": Preset(
        tokenizer=TokenizerConfig(dim=256, window=16, encoder_blocks=4, decoder_blocks=4, warmup=500),
        dynamics=DynamicsConfig(num_actions=0, dim=256, blocks=8, window=16, termination_sees_frame=True),
        lam=LatentActionConfig(dim=256, feed_forwards=2, encoder_blocks=4, decoder_blocks=4),
        tokenizer_training=TrainerConfig(steps=50_000, batch_size=32, lr=5e-4, warmup=1000, ema_decay=0.999),
        dynamics_training=TrainerConfig(steps=50_000, batch_size=32, lr=5e-4, warmup=1000, ema_decay=0.999),
        lam_training=TrainerConfig(steps=50_000, batch_size=32, lr=5e-4, warmup=1000, ema_decay=0.999),
        tokenizer_clip_length=16,
        dynamics_clip_lengths=(16,),
        lam_clip_length=16,
    ),
    # Sizes of the paper and of the authors' configuration: 256 tokens a frame, width 512, 8 + 8 and 12 blocks.
    "paper": Preset(
        tokenizer=TokenizerConfig(
            patch=4, dim=512, heads=8, window=16, encoder_blocks=8, decoder_blocks=8, warmup=1000
        ),
        dynamics=DynamicsConfig(
            num_actions=0, dim=512, blocks=12, heads=8, side=16, window=16, termination_sees_frame=True
        ),
        # Genie's for CoinRun but for its 6 codes: width 512, 8 + 8 blocks, patches of 16 pixels.
        lam=LatentActionConfig(
            patch=16, dim=512, heads=8, window=16, feed_forwards=2, encoder_blocks=8, decoder_blocks=8, warmup=1000
        ),
        tokenizer_training=TrainerConfig(steps=150_000, **PAPER),
        dynamics_training=TrainerConfig(steps=180_000, **PAPER),
        lam_training=TrainerConfig(steps=200_000, **PAPER),
        tokenizer_clip_length=16,
        dynamics_clip_lengths=(16,),
        lam_clip_length=16,
    ),
}


def get_preset(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
