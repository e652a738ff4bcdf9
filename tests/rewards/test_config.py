"""The reward that options name, and errors where spaces or options do not fit."""

import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.rewards import (
    AutoExplore,
    FeaturePredictionError,
    NoReward,
    RandomNetworkDistillation,
    RewardConfig,
    make_reward,
)

FRAMES = Box(0, 255, (64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("autoexplore", AutoExplore),
        ("random_features", FeaturePredictionError),
        ("vae_features", FeaturePredictionError),
        ("rnd", RandomNetworkDistillation),
        ("none", NoReward),
    ],
)
def test_names(exploring_checkpoint, name, kind):
    reward = make_reward(FRAMES, Discrete(4), None, exploring_checkpoint, config=RewardConfig(reward=name))
    assert isinstance(reward, kind)


def test_options_reach_autoexplore_and_the_model_is_shared(exploring_checkpoint):
    config = RewardConfig(context=1, horizon=2, quantile=0.5, sampling_steps=3)
    one, other = (make_reward(FRAMES, Discrete(4), None, exploring_checkpoint, config=config) for _ in range(2))
    assert (one.context, one.horizon, one.window, one.quantile, one.sampling_steps) == (1, 2, 3, 0.5, 3)
    assert one.model is other.model


@pytest.mark.parametrize(
    ("observations", "actions", "words"),
    [
        (Box(0, 255, (84, 84, 3), np.uint8), Discrete(4), "sees frames of 64x64, the environment gives 84x84"),
        (Box(0, 255, (64, 64, 1), np.uint8), Discrete(4), "single square frames"),
        (Box(0, 255, (3, 64, 64), np.uint8), Discrete(4), "before frames are stacked, transposed"),
        (Box(0, 1, (64, 64, 3), np.float32), Discrete(4), "uint8"),
        (FRAMES, Discrete(6), "knows the actions NOOP, RIGHT, LEFT, JUMP, the environment has 6 actions"),
        (FRAMES, Discrete(4, start=1), "Discrete actions from 0"),
        (FRAMES, Box(-1, 1, (2,)), "Discrete actions from 0"),
    ],
)
def test_spaces_that_do_not_fit(exploring_checkpoint, observations, actions, words):
    with pytest.raises(ConfigError, match=words):
        make_reward(observations, actions, None, exploring_checkpoint)


@pytest.mark.parametrize("reward", ["rnd", "random_features", "vae_features"])
def test_frames_too_small_for_a_baseline(reward):
    for size in (35, 36):
        observations, config = Box(0, 255, (size, size, 3), np.uint8), RewardConfig(reward=reward)
        with pytest.raises(ConfigError, match="needs frames of 36x36 or more") if size < 36 else nullcontext():
            make_reward(observations, Discrete(4), config=config)


def test_a_model_of_other_actions_and_sizes(exploring_checkpoint):
    atari, options = Box(0, 255, (210, 160, 3), np.uint8), {"resize": 64, "action_map": (0, 3, 1, 2, 3, 3)}
    names = ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    make_reward(atari, Discrete(6), None, exploring_checkpoint, config=RewardConfig(**options), action_meanings=names)
    for changed, space, words in (
        ({"action_map": (0, 1)}, Discrete(6), "for each of the environment's 6; got 2"),
        ({"action_map": (0, 1, 2, 3, 4, 0)}, Discrete(6), r"has the actions 0 to 3 \(NOOP, .*; action_map holds 4"),
        ({"resize": 32}, Discrete(6), "sees frames of 64x64, the environment gives 32x32"),
    ):
        with pytest.raises(ConfigError, match=words):
            make_reward(atari, space, None, exploring_checkpoint, config=RewardConfig(**options | changed))


def test_actions_of_other_names(exploring_checkpoint):
    with pytest.raises(ConfigError, match="the environment has the actions A, B, C, D"):
        make_reward(FRAMES, Discrete(4), None, exploring_checkpoint, action_meanings=["A", "B", "C", "D"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reward": "joy"}, "reward must be one of autoexplore, .*; got 'joy'"),
        ({"mode": "both"}, "mode must be one of replace, add; got 'both'"),
        ({"score_interval": 0}, "score interval must be 1 or more, got 0"),
        ({"score_interval": 2.5}, "score interval must be a whole number; got 2.5"),
        ({"coefficient": "x"}, "coefficient must be a number; got 'x'"),
        ({"coefficient": float("nan")}, "coefficient must be a number; got nan"),
        ({"resize": 0}, "resize must be 1 or more, got 0"),
        ({"action_map": ()}, r"action_map must list .*; got \(\)"),
        ({"action_map": (0, -1)}, "action_map must list"),
        ({"action_map": "NOOP"}, "action_map must list .*; got 'NOOP'"),
        ({"gamma": 2.0}, r"gamma must lie in \[0, 1\]; got 2.0"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(ConfigError, match=words):
        RewardConfig(**options)


def test_no_weights_and_no_game():
    with pytest.raises(CheckpointError, match="genie-gym train Toy-Numpy"):
        make_reward(FRAMES, Discrete(4), "Toy")
    with pytest.raises(ConfigError, match="give a game"):
        make_reward(FRAMES, Discrete(4))


def test_options_load_without_torch():
    script = "import sys, genie_gym.rewards.config; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
