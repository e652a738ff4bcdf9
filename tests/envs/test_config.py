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


@pytest.mark.parametrize("vector", [False, True])
def test_a_policy_with_other_actions_drives_the_dream(toy_checkpoint, vector):
    """Each of its actions is the world's that the map names, in steps, prompts and plans."""
    chosen = (3, 0, 1, 1, 2, 0)
    kind = (lambda **options: WorldModelVectorEnv(2, **options)) if vector else WorldModelEnv
    mapped, plain = kind(checkpoint=toy_checkpoint, action_map=chosen), kind(checkpoint=toy_checkpoint)
    space = mapped.single_action_space if vector else mapped.action_space
    assert space == gym.spaces.Discrete(6)
    assert mapped.get_action_meanings() == [plain.get_action_meanings()[i] for i in chosen]
    prompt = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    starts = [{"prompt": prompt, "prompt_actions": given} for given in ([5, 4], [0, 2])]
    first = [env.reset(seed=3, options=start)[0] for env, start in zip((mapped, plain), starts, strict=True)]
    np.testing.assert_array_equal(*first)
    for action in range(6):
        mine, theirs = (np.full(2, i) if vector else i for i in (action, chosen[action]))
        np.testing.assert_array_equal(mapped.step(mine)[0], plain.step(theirs)[0])
    if not vector:
        plans = np.array([[0, 4], [2, 5]])
        mine, theirs = mapped.look_ahead(plans), plain.look_ahead(np.array(chosen)[plans])
        np.testing.assert_array_equal(mine.rewards, theirs.rewards)


@pytest.mark.parametrize("chosen", [(), (0, 9), (-1,), (0, 1.5), "left"])
def test_a_bad_action_map_is_explained(toy_checkpoint, chosen):
    with pytest.raises(ConfigError, match="action_map"):
        WorldModelEnv(checkpoint=toy_checkpoint, action_map=chosen)


def test_gymnasium_takes_an_action_map(toy_checkpoint):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint, action_map=(0, 2))
    assert env.action_space.n == 2
    assert gym.make_vec("GenieRedux/Toy-v0", 3, checkpoint=toy_checkpoint, action_map=(0, 2)).single_action_space.n == 2
