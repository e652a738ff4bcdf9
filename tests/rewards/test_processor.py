"""Normalisation against Gymnasium's own, centring against NumPy's mean, and their order."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers.vector import NormalizeReward

from genie_gym.errors import ConfigError
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.processor import ReturnNormalizer, RewardCenter, RewardProcessor


class GivenRewards(gym.vector.VectorEnv):
    """Environments with given rewards whose episodes never end."""

    def __init__(self, rewards: np.ndarray):
        self.num_envs, self.rewards, self.metadata = rewards.shape[1], iter(rewards), {}
        self.metadata["autoreset_mode"] = gym.vector.AutoresetMode.NEXT_STEP

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.num_envs), {}

    def step(self, actions):
        never = np.zeros(self.num_envs, bool)
        return np.zeros(self.num_envs), next(self.rewards), never, never, {}


def test_normalisation_is_gymnasiums_where_no_episode_ends():
    rewards = np.random.default_rng(0).gamma(2.0, 0.3, (50, 3))
    reference, normalizer = NormalizeReward(GivenRewards(rewards), gamma=0.9), ReturnNormalizer(3, gamma=0.9)
    reference.reset()
    for row in rewards:
        normalizer.update(row, np.ones(3, bool))
        np.testing.assert_allclose(normalizer(row), reference.step(None)[1], rtol=1e-5)


def test_rows_that_were_not_stepped_are_left_out():
    both, alone = ReturnNormalizer(2), ReturnNormalizer(1)
    for value in (0.5, 1.5, 0.2):
        both.update(np.array([value, 99.0]), np.array([True, False]))
        alone.update(np.array([value]), np.array([True]))
    assert both.statistics.var == alone.statistics.var and both.returns[1] == 0


def test_the_first_rewards_are_clipped():
    """Sums that are all alike have no deviation."""
    normalizer = ReturnNormalizer(4)
    normalizer.update(np.full(4, 1.0), np.ones(4, bool))
    assert normalizer.statistics.var < 1e-4
    assert normalizer(np.array([1.0, -1.0, 0.0])).tolist() == [10, -10, 0]


def test_normalising_alone_updates_nothing():
    normalizer = ReturnNormalizer(1)
    normalizer.update(np.array([2.0]), np.array([True]))
    before = float(normalizer.statistics.var)
    assert np.array_equal(normalizer(np.ones(1)), normalizer(np.ones(1))) and normalizer.statistics.var == before


def test_the_center_is_the_mean_of_scored_rewards():
    rng, center, seen = np.random.default_rng(0), RewardCenter(), []
    for _ in range(30):
        rewards, scored = rng.random(4), rng.random(4) < 0.3
        center.update(rewards, scored)
        seen.extend(rewards[scored])
    centred = center(np.array([0.7, 0.7]), np.array([True, False]))
    assert centred[0] == pytest.approx(0.7 - np.mean(seen), abs=1e-3) and centred[1] == 0


def test_gamma_out_of_range():
    with pytest.raises(ConfigError, match=r"gamma must lie in \[0, 1\]; got 1.1"):
        ReturnNormalizer(1, gamma=1.1)


def test_the_order_is_centring_normalisation_coefficient_mixing():
    rng = np.random.default_rng(1)
    config = RewardConfig(mode="add", coefficient=0.5, center=True, normalize=True, gamma=0.8)
    processor, seen, returns, sums = RewardProcessor(3, config), [], np.zeros(3), []
    for _ in range(400):
        scores, scored, own = rng.gamma(2.0, 0.3, 3), rng.random(3) < 0.5, rng.normal(size=3)
        rewards = processor(scores, scored, own)
        seen.extend(scores[scored])
        centred = np.where(scored, scores - np.mean(seen), 0) if seen else np.zeros(3)
        returns = 0.8 * returns + centred
        sums.append(returns)
    np.testing.assert_allclose(rewards, own + 0.5 * centred / np.std(sums), rtol=0.02, atol=0.01)


def test_several_steps_normalise_as_one_after_the_other():
    scores = np.random.default_rng(2).gamma(2.0, 0.3, (20, 3))
    single, several = (RewardProcessor(3, RewardConfig(normalize=True)) for _ in range(2))
    for row in scores:
        last = single(row, np.ones(3, bool))
    np.testing.assert_allclose(several(scores, np.ones_like(scores, bool))[-1], last)


def test_without_update_nothing_changes():
    processor = RewardProcessor(2, RewardConfig(center=True, normalize=True))
    processor(np.array([1.0, 2.0]), np.ones(2, bool))
    before = [(one.mean, one.var, one.count) for one in processor.statistics.values()]
    processor(np.array([5.0, 7.0]), np.ones(2, bool), update=False)
    assert [(one.mean, one.var, one.count) for one in processor.statistics.values()] == before
