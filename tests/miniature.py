"""Presets whose training takes seconds, for tests of whole walks."""

from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.lam import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.presets import Preset

__all__ = ["MINIATURE", "miniature"]


def miniature(window: int) -> Preset:
    """A preset whose models look back over that many frames."""
    small = {"dim": 16, "heads": 2, "window": window}
    steps = TrainerConfig(steps=2, batch_size=2)
    codes = {"codes": 16, "code_dim": 4}
    return Preset(
        tokenizer=TokenizerConfig(patch=16, encoder_blocks=1, decoder_blocks=1, warmup=1, **codes, **small),
        dynamics=DynamicsConfig(num_actions=0, blocks=1, side=4, **codes, **small),
        lam=LatentActionConfig(patch=16, encoder_blocks=1, decoder_blocks=1, drawing_dim=8, warmup=1, **small),
        tokenizer_training=steps,
        dynamics_training=steps,
        lam_training=steps,
    )


MINIATURE = miniature(window=4)
