"""Build the reward that a configuration names, for environments with given spaces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import ConfigError
from genie_gym.games import GameSpec
from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.rewards.base import IntrinsicReward, NoReward
from genie_gym.rewards.baselines import FeaturePredictionError, RandomNetworkDistillation
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.networks import MIN_SIZE
from genie_gym.rewards.pipeline import RewardPipeline
from genie_gym.utils.device import outside_inference_mode
from genie_gym.utils.options import make_config
from genie_gym.utils.validation import short, typed
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint

__all__ = ["check_is", "frame_size", "make_pipeline", "make_reward", "num_actions"]


def make_pipeline(
    num_envs: int,
    observation_space: gym.Space,
    action_space: gym.Space,
    game: str | None = None,
    checkpoint: str | Path | None = None,
    *,
    config: RewardConfig,
    action_meanings: Sequence[str] | None = None,
) -> RewardPipeline:
    """Return the reward pipeline of several environments. The arguments and errors are those of `make_reward`."""
    spaces = observation_space, action_space
    reward = make_reward(*spaces, game, checkpoint, config=config, action_meanings=action_meanings)
    return RewardPipeline(reward, num_envs, frame_size(observation_space), num_actions(action_space), config)


@outside_inference_mode()
def make_reward(
    observation_space: gym.Space,
    action_space: gym.Space,
    game: str | None = None,
    checkpoint: str | Path | None = None,
    *,
    config: RewardConfig | None = None,
    action_meanings: Sequence[str] | None = None,
) -> IntrinsicReward:
    """Return the reward that the configuration names.

    Args:
        observation_space: Space of one environment's observations, uint8 (s, s, 3).
        action_space: Space of one environment's actions, Discrete from 0.
        game: Name of a game. Its weights are looked for in the user's folder, then in the package.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        config: Options of the reward.
        action_meanings: Names of the environment's actions, where they are known.

    Raises:
        ConfigError: The spaces do not fit the world model.
        CheckpointError: There are no weights.
        GameError: The game is unknown.
    """
    config = make_config(RewardConfig, config, {})
    game, checkpoint = typed("game", game, str | None), typed("checkpoint", checkpoint, str | Path | None)
    size, actions = frame_size(observation_space), num_actions(action_space)
    if config.reward == "none":
        return NoReward()
    if config.reward != "autoexplore":
        return _make_baseline(size, actions, config)
    loaded = load_checkpoint(resolve_checkpoint(checkpoint, game), config.device, config.precision)
    _check_fit(loaded, size, actions, action_meanings)
    options = config.context, config.horizon, config.quantile, config.sampling_steps, config.compile
    return AutoExplore(loaded.model, *options)


def _make_baseline(size: int, actions: int, config: RewardConfig) -> IntrinsicReward:
    if size < MIN_SIZE:
        raise ConfigError(
            f"reward {config.reward!r} needs frames of {MIN_SIZE}x{MIN_SIZE} or more, the environment gives "
            f"{size}x{size}; make it with size=64"
        )
    if config.reward == "rnd":
        return RandomNetworkDistillation(size, device=config.device, seed=config.seed)
    features = config.reward.removesuffix("_features")
    return FeaturePredictionError(features, size, actions, device=config.device, seed=config.seed)


def _check_fit(checkpoint: Checkpoint, size: int, actions: int, meanings: Sequence[str] | None) -> None:
    """Raise ConfigError where an environment's frames or actions are not those of the world model."""
    spec, expected = GameSpec.from_dict(checkpoint.game), checkpoint.model.tokenizer.config.size
    if size != expected:
        raise ConfigError(
            f"the world model of {spec.name} sees frames of {expected}x{expected}, the environment gives "
            f"{size}x{size}; make it with genie_gym.games.make or genie_gym.games.wrap(env, size={expected})"
        )
    if actions != len(spec.actions) or (meanings is not None and list(meanings) != spec.meanings):
        found = f"{actions} actions" if meanings is None else f"the actions {', '.join(meanings)}"
        raise ConfigError(
            f"the world model of {spec.name} knows the actions {', '.join(spec.meanings)}, the environment has "
            f"{found}; make it with genie_gym.games.make({spec.name!r}), or give the checkpoint of its own game"
        )


def check_is(env: Any, kind: type, expected: str, otherwise: str) -> None:
    """Raise ConfigError if what is to be rewarded is of another kind; say what was expected, and what to do."""
    if not isinstance(env, kind):
        raise ConfigError(f"this reward is for {expected}; got {short(env)}. {otherwise}")


def frame_size(observation_space: gym.Space) -> int:
    """Return the side of an environment's frames in pixels.

    Raises:
        ConfigError: Observations are not uint8 (s, s, 3).
    """
    shape: tuple[int, ...] = getattr(observation_space, "shape", None) or ()
    fits = isinstance(observation_space, gym.spaces.Box) and observation_space.dtype == np.uint8 and len(shape) == 3
    if not fits or shape[0] != shape[1] or shape[2] != 3:
        raise ConfigError(
            f"the reward needs single square frames, uint8 (s, s, 3); the environment gives {observation_space}. Wrap "
            "it before frames are stacked, transposed or turned grey, for example around genie_gym.games.make"
        )
    return shape[0]


def num_actions(action_space: gym.Space) -> int:
    """Return the number of an environment's actions.

    Raises:
        ConfigError: Actions are not Discrete from 0.
    """
    if not isinstance(action_space, gym.spaces.Discrete) or action_space.start != 0:
        raise ConfigError(f"the reward needs Discrete actions from 0; the environment takes {action_space}")
    return int(action_space.n)
