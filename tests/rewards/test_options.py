"""Which reward follows from which options, and what is said when spaces or options do not fit."""

from contextlib import nullcontext

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.rewards import (
    AutoExplore,
    FeatureError,
    NoReward,
    RandomNetworkDistillation,
    RewardOptions,
    make_reward,
)

PICTURES = Box(0, 255, (64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("autoexplore", AutoExplore),
        ("random_features", FeatureError),
        ("vae_features", FeatureError),
        ("rnd", RandomNetworkDistillation),
        ("none", NoReward),
    ],
)
def test_names(exploring_checkpoint, name, kind):
    reward = make_reward(PICTURES, Discrete(4), None, exploring_checkpoint, options=RewardOptions(reward=name))
    assert isinstance(reward, kind)


def test_options_reach_autoexplore_and_the_model_is_shared(exploring_checkpoint):
    options = RewardOptions(context=1, horizon=2, quantile=0.5, steps=3)
    one, other = (make_reward(PICTURES, Discrete(4), None, exploring_checkpoint, options=options) for _ in range(2))
    assert (one.context, one.horizon, one.window, one.quantile, one.steps) == (1, 2, 3, 0.5, 3)
    assert one.model is other.model


@pytest.mark.parametrize(
    ("pictures", "actions", "words"),
    [
        (Box(0, 255, (84, 84, 3), np.uint8), Discrete(4), "sees pictures of 64x64, the environment gives 84x84"),
        (Box(0, 255, (64, 64, 1), np.uint8), Discrete(4), "single square pictures"),
        (Box(0, 255, (3, 64, 64), np.uint8), Discrete(4), "before pictures are stacked, transposed"),
        (Box(0, 1, (64, 64, 3), np.float32), Discrete(4), "uint8"),
        (PICTURES, Discrete(6), "knows the actions NOOP, RIGHT, LEFT, JUMP, the environment has 6 actions"),
        (PICTURES, Discrete(4, start=1), "Discrete actions from 0"),
        (PICTURES, Box(-1, 1, (2,)), "Discrete actions from 0"),
    ],
)
def test_spaces_that_do_not_fit(exploring_checkpoint, pictures, actions, words):
    with pytest.raises(ConfigError, match=words):
        make_reward(pictures, actions, None, exploring_checkpoint)


@pytest.mark.parametrize("reward", ["rnd", "random_features", "vae_features"])
def test_pictures_too_small_for_a_baseline(reward):
    for size in (35, 36):
        pictures, options = Box(0, 255, (size, size, 3), np.uint8), RewardOptions(reward=reward)
        with pytest.raises(ConfigError, match="needs pictures of 36x36 or more") if size < 36 else nullcontext():
            make_reward(pictures, Discrete(4), options=options)


def test_actions_of_other_names(exploring_checkpoint):
    with pytest.raises(ConfigError, match="the environment has the actions A, B, C, D"):
        make_reward(PICTURES, Discrete(4), None, exploring_checkpoint, meanings=["A", "B", "C", "D"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reward": "joy"}, "reward must be one of autoexplore, .*; got 'joy'"),
        ({"mode": "both"}, "mode must be one of replace, add; got 'both'"),
        ({"every": 0}, "every must be a whole number, 1 or more; got 0"),
        ({"every": 2.5}, "every must be a whole number, 1 or more; got 2.5"),
        ({"coefficient": "x"}, "coefficient must be a number; got 'x'"),
        ({"coefficient": float("nan")}, "coefficient must be a number; got nan"),
        ({"gamma": 2.0}, r"gamma must lie in \[0, 1\]; got 2.0"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(ConfigError, match=words):
        RewardOptions(**options)


def test_no_weights_and_no_game():
    with pytest.raises(CheckpointError, match="genie-gym fit Toy-Numpy"):
        make_reward(PICTURES, Discrete(4), "Toy")
    with pytest.raises(ConfigError, match="give a game"):
        make_reward(PICTURES, Discrete(4))
