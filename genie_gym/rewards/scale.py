"""Running level and scale of a reward, so that an agent learns from it at once, and with the same rate in any game."""

import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

from genie_gym.errors import ConfigError

__all__ = ["ReturnScale", "RewardLevel"]

MOST = 10.0  # a scaled reward


class RewardLevel:
    """Takes the running mean off rewards.

    Uncertainty is always positive: most of the reward is a constant, which hides the differences until the critic has
    learned it, and sets scored steps apart from those left out. Take it off only where the end of an episode counts as
    a time limit, so that a constant changes nothing about what is best; where an end is worth 0, a negative reward
    would make dying pay.
    """

    def __init__(self) -> None:
        self.statistics = RunningMeanStd(shape=())

    def update(self, rewards: np.ndarray, scored: np.ndarray) -> None:
        """Takes in rewards, of those that `scored` (bool, the same shape) names."""
        if scored.any():
            self.statistics.update(rewards[scored])

    def __call__(self, rewards: np.ndarray, scored: np.ndarray) -> np.ndarray:
        """The rewards less their mean; 0 where nothing was scored."""
        return np.where(scored, rewards - self.statistics.mean, 0.0)


class ReturnScale:
    """Divides rewards by the running standard deviation of their discounted sum (Burda et al. 2019, section 2.4).

    As in random network distillation the sum goes on through the ends of episodes: what is learned about a game is
    not forgotten when it ends. The mean stays where it is, so rewards keep their sign. None is larger than 10, as in
    Stable-Baselines3's VecNormalize: while all sums are alike the first ones would be a hundred.

    Args:
        count: environments that step together.
        gamma: discount of the sum.

    Raises:
        ConfigError: gamma out of range.
    """

    def __init__(self, count: int, gamma: float = 0.99):
        if not 0 <= gamma <= 1:
            raise ConfigError(f"gamma must lie in [0, 1]; got {gamma}")
        self.gamma = gamma
        self.statistics = RunningMeanStd(shape=())
        self.returns = np.zeros(count)

    def update(self, rewards: np.ndarray, live: np.ndarray) -> None:
        """Takes in one step's rewards float (count,), of the rows that `live` (bool (count,)) says have stepped."""
        self.returns[live] = self.gamma * self.returns[live] + rewards[live]
        if live.any():
            self.statistics.update(self.returns[live])

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """The rewards, scaled, from -10 to 10."""
        return np.clip(rewards / np.sqrt(self.statistics.var + 1e-8), -MOST, MOST)
