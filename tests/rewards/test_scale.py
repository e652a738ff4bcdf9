"""The running scale against Gymnasium's own reward normalisation, the running level against numpy's mean."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers.vector import NormalizeReward

from genie_gym.errors import ConfigError
from genie_gym.rewards import ReturnScale, RewardLevel


class Paying(gym.vector.VectorEnv):
    """Pays what it is told and never ends."""

    def __init__(self, rewards: np.ndarray):
        self.num_envs, self.rewards, self.metadata = rewards.shape[1], iter(rewards), {}
        self.metadata["autoreset_mode"] = gym.vector.AutoresetMode.NEXT_STEP

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.num_envs), {}

    def step(self, actions):
        never = np.zeros(self.num_envs, bool)
        return np.zeros(self.num_envs), next(self.rewards), never, never, {}


def test_it_is_gymnasiums_where_no_episode_ends():
    rewards = np.random.default_rng(0).gamma(2.0, 0.3, (50, 3))
    theirs, mine = NormalizeReward(Paying(rewards), gamma=0.9), ReturnScale(3, gamma=0.9)
    theirs.reset()
    for row in rewards:
        mine.update(row, np.ones(3, bool))
        np.testing.assert_allclose(mine(row), theirs.step(None)[1], rtol=1e-5)


def test_rows_that_did_not_step_are_left_out():
    mine, alone = ReturnScale(2), ReturnScale(1)
    for value in (0.5, 1.5, 0.2):
        mine.update(np.array([value, 99.0]), np.array([True, False]))
        alone.update(np.array([value]), np.array([True]))
    assert mine.statistics.var == alone.statistics.var and mine.returns[1] == 0


def test_the_first_rewards_are_no_hundreds():
    """Sums that are all alike have no deviation to be measured in."""
    scale = ReturnScale(4)
    scale.update(np.full(4, 1.0), np.ones(4, bool))
    assert scale.statistics.var < 1e-4
    assert scale(np.array([1.0, -1.0, 0.0])).tolist() == [10, -10, 0]


def test_scaling_alone_moves_nothing():
    scale = ReturnScale(1)
    scale.update(np.array([2.0]), np.array([True]))
    before = float(scale.statistics.var)
    assert np.array_equal(scale(np.ones(1)), scale(np.ones(1))) and scale.statistics.var == before


def test_the_level_is_the_mean_of_what_was_scored():
    rng, level, seen = np.random.default_rng(0), RewardLevel(), []
    for _ in range(30):
        rewards, scored = rng.random(4), rng.random(4) < 0.3
        level.update(rewards, scored)
        seen.extend(rewards[scored])
    centred = level(np.array([0.7, 0.7]), np.array([True, False]))
    assert centred[0] == pytest.approx(0.7 - np.mean(seen), abs=1e-3) and centred[1] == 0


def test_gamma_out_of_range():
    with pytest.raises(ConfigError, match=r"gamma must lie in \[0, 1\]; got 1.1"):
        ReturnScale(1, gamma=1.1)
