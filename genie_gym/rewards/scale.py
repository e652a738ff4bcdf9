"""Running scale of a reward, so that an agent's learning rate fits any game (Burda et al. 2019, section 2.4)."""

import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

from genie_gym.errors import ConfigError

__all__ = ["ReturnScale"]


class ReturnScale:
    """Divides rewards by the running standard deviation of their discounted sum.

    As in random network distillation the sum goes on through the ends of episodes: what is learned about a game is
    not forgotten when it ends. Rewards are not centred, so they keep their sign.

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
        """The rewards, scaled."""
        return rewards / np.sqrt(self.statistics.var + 1e-8)
