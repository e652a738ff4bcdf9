"""Build the reward that a configuration names, for environments with given spaces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from genie_gym.errors import ConfigError
from genie_gym.games import GameSpec
from genie_gym.rewards.adapter import EnvAdapter
from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.rewards.base import IntrinsicReward, NoReward
from genie_gym.rewards.baselines import FeaturePredictionError, RandomNetworkDistillation
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.habituation import Habituation
from genie_gym.rewards.networks import MIN_SIZE
from genie_gym.rewards.pipeline import RewardPipeline
from genie_gym.rewards.token_hash import TokenHash
from genie_gym.utils.device import outside_inference_mode
from genie_gym.utils.options import make_config
from genie_gym.utils.validation import check_action_map, short, typed
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint

__all__ = ["check_is", "make_habituation", "make_pipeline", "make_reward"]


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
    habituation = make_habituation(reward, num_envs, config)
    return RewardPipeline(reward, num_envs, EnvAdapter.of(*spaces, config), config, habituation)


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
        observation_space: Space of one environment's observations, uint8 (s, s, 3), or (h, w, 3) to be resized.
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
    adapter = EnvAdapter.of(observation_space, action_space, config)
    if config.reward == "none":
        return NoReward()
    if config.reward != "autoexplore":
        return _make_baseline(adapter, config)
    loaded = load_checkpoint(checkpoint, config.device, config.precision, game=game)
    _check_fit(loaded, adapter, action_meanings)
    options = config.context, config.horizon, config.quantile, config.sampling_steps, config.compile
    return AutoExplore(loaded.model, *options, config.uncertainty, config.action_sample)


def make_habituation(reward: IntrinsicReward, num_envs: int, config: RewardConfig) -> Habituation | None:
    """Return the habituation that the configuration asks for; None without one."""
    if config.habituation == "none" or not isinstance(reward, AutoExplore):
        return None
    return Habituation(num_envs, config.habituation, TokenHash(reward.model, config.hash_bits))


def _make_baseline(adapter: EnvAdapter, config: RewardConfig) -> IntrinsicReward:
    size = adapter.size
    if size < MIN_SIZE:
        raise ConfigError(
            f"reward {config.reward!r} needs frames of {MIN_SIZE}x{MIN_SIZE} or more, the environment gives "
            f"{size}x{size}; make it with size=64"
        )
    if config.reward == "rnd":
        return RandomNetworkDistillation(size, device=config.device, seed=config.seed)
    features = config.reward.removesuffix("_features")
    actions = adapter.num_actions if adapter.action_map is None else int(adapter.action_map.max()) + 1
    return FeaturePredictionError(features, size, actions, device=config.device, seed=config.seed)


def _check_fit(checkpoint: Checkpoint, adapter: EnvAdapter, meanings: Sequence[str] | None) -> None:
    """Raise ConfigError where an environment's frames or actions are not those of the world model."""
    spec, expected = GameSpec.from_dict(checkpoint.game), checkpoint.model.tokenizer.config.size
    if adapter.size != expected:
        raise ConfigError(
            f"the world model of {spec.name} sees frames of {expected}x{expected}, the environment gives "
            f"{adapter.size}x{adapter.size}; make it with genie_gym.games.make or genie_gym.games.wrap(env, "
            f"size={expected}), or give resize={expected} if these are the game's own pictures"
        )
    if adapter.action_map is not None:
        check_action_map(adapter.action_map.tolist(), spec.meanings)
        return
    actions = adapter.num_actions
    if actions != len(spec.actions) or (meanings is not None and list(meanings) != spec.meanings):
        found = f"{actions} actions" if meanings is None else f"the actions {', '.join(meanings)}"
        raise ConfigError(
            f"the world model of {spec.name} knows the actions {', '.join(spec.meanings)}, the environment has "
            f"{found}; make it with genie_gym.games.make({spec.name!r}), give the checkpoint of its own "
            "game, or say with action_map which of the model's actions each of its actions is"
        )


def check_is(env: Any, kind: type, expected: str, otherwise: str) -> None:
    """Raise ConfigError if what is to be rewarded is of another kind; say what was expected, and what to do."""
    if not isinstance(env, kind):
        raise ConfigError(f"this reward is for {expected}; got {short(env)}. {otherwise}")
