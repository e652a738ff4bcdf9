"""What a user chooses about an intrinsic reward, and the reward that follows from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np

from genie_gym.errors import ConfigError
from genie_gym.games import GameSpec
from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.rewards.baselines import FeatureError, RandomNetworkDistillation
from genie_gym.rewards.networks import SMALLEST
from genie_gym.rewards.score import IntrinsicReward, NoReward
from genie_gym.world_model.weights import find_weights, load_weights

__all__ = ["MODES", "REWARDS", "RewardOptions", "make_reward", "sizes"]

REWARDS = ("autoexplore", "random_features", "vae_features", "rnd", "none")
MODES = ("replace", "add")


@dataclass(frozen=True)
class RewardOptions:
    """Plain values, the same for one environment, many, and Stable-Baselines3.

    Attributes:
        reward: "autoexplore", or a baseline: "random_features", "vae_features", "rnd" (random network distillation),
            "none". Baselines need neither game nor checkpoint and learn while they are used.
        mode: "replace" gives the agent the intrinsic reward alone, "add" the sum of it and the game's.
        coefficient: factor of the intrinsic reward.
        center: take the running mean off the intrinsic reward, see RewardLevel for when that is right.
        normalize: divide the intrinsic reward by the running deviation of its discounted sum, before the coefficient.
        gamma: discount of that sum.
        every: score one step in so many, of all environments together; the others are paid 0. The rewards that are
            paid stay what they are, and cost that much less time.
        context, horizon, quantile, steps: of AutoExplore.
        device: "auto" (CUDA if there is one), "cpu", "cuda" ...
        precision: "auto", "float32" or "bfloat16".
        compile: lets torch compile AutoExplore's scoring: a minute or two at first, then half the time.
        seed: of a baseline's networks.

    Raises:
        ConfigError: a value out of range.
    """

    reward: str = "autoexplore"
    mode: str = "replace"
    coefficient: float = 1.0
    center: bool = False
    normalize: bool = False
    gamma: float = 0.99
    every: int = 1
    context: int = 2
    horizon: int = 3
    quantile: float = 0.75
    steps: int = 1
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.reward not in REWARDS:
            raise ConfigError(f"reward must be one of {', '.join(REWARDS)}; got {self.reward!r}")
        if self.mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}; got {self.mode!r}")
        if not 0 <= self.gamma <= 1:
            raise ConfigError(f"gamma must lie in [0, 1]; got {self.gamma}")
        if not isinstance(self.every, int) or self.every < 1:
            raise ConfigError(f"every must be a whole number, 1 or more; got {self.every!r}")
        if not isinstance(self.coefficient, int | float) or not math.isfinite(self.coefficient):
            raise ConfigError(f"coefficient must be a number; got {self.coefficient!r}")


def make_reward(
    observations: gym.Space,
    actions: gym.Space,
    game: str | None = None,
    checkpoint: str | Path | None = None,
    meanings: Sequence[str] | None = None,
    options: RewardOptions | None = None,
) -> IntrinsicReward:
    """The reward that `options` name, for environments of the given spaces.

    Args:
        observations, actions: the spaces of one environment: uint8 (s, s, 3) and Discrete from 0.
        game: name of a game; its weights are looked for in the user's folder, then in the package.
        checkpoint: a checkpoint folder or the id of a model on the Hugging Face hub; overrules `game`.
        meanings: names of the environment's actions, if it tells them.

    Raises:
        ConfigError: the spaces do not fit the world model.
        CheckpointError, GameError: no weights, or an unknown game.
    """
    chosen = options or RewardOptions()
    size, count = sizes(observations, actions)
    if chosen.reward == "autoexplore":
        return _autoexplore(size, count, game, checkpoint, meanings, chosen)
    if chosen.reward == "none":
        return NoReward()
    if size < SMALLEST:
        raise ConfigError(
            f"reward {chosen.reward!r} needs pictures of {SMALLEST}x{SMALLEST} or more, the environment gives "
            f"{size}x{size}; make it with size=64"
        )
    if chosen.reward == "rnd":
        return RandomNetworkDistillation(size, device=chosen.device, seed=chosen.seed)
    features = chosen.reward.removesuffix("_features")
    return FeatureError(features, size, count, device=chosen.device, seed=chosen.seed)


def _autoexplore(
    size: int,
    actions: int,
    game: str | None,
    checkpoint: str | Path | None,
    meanings: Sequence[str] | None,
    options: RewardOptions,
) -> AutoExplore:
    place, _ = find_weights(game, checkpoint)
    loaded = load_weights(place, options.device, options.precision)
    spec, expected = GameSpec.from_dict(loaded.game), loaded.model.tokenizer.config.size
    if size != expected:
        raise ConfigError(
            f"the world model of {spec.name} sees pictures of {expected}x{expected}, the environment gives "
            f"{size}x{size}; make it with genie_gym.games.make or genie_gym.games.wrap(env, size={expected})"
        )
    if actions != len(spec.actions) or (meanings is not None and list(meanings) != spec.meanings):
        theirs = f"{actions} actions" if meanings is None else f"the actions {', '.join(meanings)}"
        raise ConfigError(
            f"the world model of {spec.name} knows the actions {', '.join(spec.meanings)}, the environment has "
            f"{theirs}; make it with genie_gym.games.make({spec.name!r}), or give the checkpoint of its own game"
        )
    return AutoExplore(loaded.model, options.context, options.horizon, options.quantile, options.steps, options.compile)


def sizes(observations: gym.Space, actions: gym.Space) -> tuple[int, int]:
    """Side of an environment's pictures in pixels, and the number of its actions.

    Raises:
        ConfigError: pictures are not uint8 (s, s, 3), or actions not Discrete from 0.
    """
    return _size(observations), _count(actions)


def _size(space: gym.Space) -> int:
    shape = space.shape or ()
    fits = isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(shape) == 3
    if not fits or shape[0] != shape[1] or shape[2] != 3:
        raise ConfigError(
            f"the reward needs single square pictures, uint8 (s, s, 3); the environment gives {space}. Wrap it before "
            "pictures are stacked, transposed or turned grey, for example around genie_gym.games.make"
        )
    return shape[0]


def _count(space: gym.Space) -> int:
    if not isinstance(space, gym.spaces.Discrete) or space.start != 0:
        raise ConfigError(f"the reward needs Discrete actions from 0; the environment takes {space}")
    return int(space.n)
