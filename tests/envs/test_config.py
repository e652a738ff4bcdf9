"""The environments' options as one object or as keywords."""

import copy
import dataclasses

import gymnasium as gym
import numpy as np
import pytest

import genie_gym  # noqa: F401  (registers the ids)
from genie_gym.envs import WorldModelEnv, WorldModelEnvConfig, WorldModelVectorEnv
from genie_gym.envs.config import make_env_config
from genie_gym.errors import ConfigError


def rollout(env) -> np.ndarray:
    return np.stack([env.reset(seed=1)[0], *(env.step(i % 4)[0] for i in range(4))])


def test_a_config_is_worth_its_keywords(toy_checkpoint):
    options = {"checkpoint": toy_checkpoint, "sampling_steps": 3, "temperature": 0.5, "reward": "autoexplore"}
    config = WorldModelEnvConfig(**options)
    assert np.array_equal(rollout(WorldModelEnv(config=config)), rollout(WorldModelEnv(**options)))
    many = WorldModelVectorEnv(2, config=config)
    many.reset(seed=1)
    assert many._engine.sampling == WorldModelEnv(**options)._engine.sampling


def test_gymnasium_makes_an_env_of_a_config(toy_checkpoint):
    config = WorldModelEnvConfig(checkpoint=toy_checkpoint, terminate=False)
    env = gym.make("GenieRedux/Toy-v0", config=config)
    again = gym.make(copy.deepcopy(env.spec))
    assert np.array_equal(rollout(env), rollout(again))
    assert gym.make_vec("GenieRedux/Toy-v0", 3, config=config).num_envs == 3


def test_an_id_brings_the_game():
    assert make_env_config(WorldModelEnvConfig(reward="autoexplore"), "Toy").game == "Toy"
    assert make_env_config(WorldModelEnvConfig(game="Toy"), "Toy").game == "Toy"
    with pytest.raises(ConfigError, match="'game'"):
        make_env_config(WorldModelEnvConfig(game="Airstriker"), "Toy")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"config": WorldModelEnvConfig(), "temperature": 1.0}, "'temperature' beside it"),
        ({"config": WorldModelEnvConfig(), "checkpoint": "x/y"}, "'checkpoint' beside it"),
        ({"temprature": 1.0}, "did you mean 'temperature'"),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        WorldModelEnv("Airstriker", **options)


def test_options_are_plain_values():
    for field in dataclasses.fields(WorldModelEnvConfig):
        assert isinstance(getattr(WorldModelEnvConfig(), field.name), bool | str | None), field.name
