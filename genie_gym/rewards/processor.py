"""From the scores of an intrinsic reward to an agent's rewards: centring, normalisation, coefficient, mixing.

Shapes: T steps, N environments.
"""

import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

from genie_gym.errors import ConfigError
from genie_gym.rewards.config import RewardConfig

__all__ = ["ReturnNormalizer", "RewardCenter", "RewardProcessor"]

MAX_REWARD = 10.0  # bound of a normalised reward, as in Stable-Baselines3's VecNormalize


class RewardCenter:
    """Subtract the running mean from rewards.

    Uncertainty is always positive. Most of the reward is therefore a constant, which hides the differences until the
    critic has learned it, and which separates scored steps from steps that are not scored. Centre rewards only where
    the end of an episode counts as a truncation, so that a constant does not change the best policy. Where the value
    after the end is 0, a negative reward would make it worthwhile to end the episode early.

    Attributes:
        statistics: Running mean and variance of the scored rewards.
    """

    def __init__(self) -> None:
        self.statistics = RunningMeanStd(shape=())

    def update(self, rewards: np.ndarray, scored: np.ndarray) -> None:
        """Update the mean with those rewards for which `scored` (bool, same shape) is true."""
        if scored.any():
            self.statistics.update(rewards[scored])

    def __call__(self, rewards: np.ndarray, scored: np.ndarray) -> np.ndarray:
        """Return the rewards minus their mean, and 0 where nothing was scored."""
        return np.where(scored, rewards - self.statistics.mean, 0.0)


class ReturnNormalizer:
    """Divide rewards by the running standard deviation of their discounted sum (Burda et al. 2019, section 2.4).

    As in random network distillation, the sum continues across episodes: what is known about a game is not forgotten
    when an episode ends. The mean is not subtracted, so rewards keep their sign. Results are clipped to [-10, 10],
    because the deviation is close to 0 while all sums are still alike.

    Args:
        num_envs: Number of environments N that step together.
        gamma: Discount factor of the sum.

    Attributes:
        statistics: Running mean and variance of the discounted sums.
        returns: The current discounted sums, float64 (N,).

    Raises:
        ConfigError: `gamma` lies outside [0, 1].
    """

    def __init__(self, num_envs: int, gamma: float = 0.99):
        if not 0 <= gamma <= 1:
            raise ConfigError(f"gamma must lie in [0, 1]; got {gamma}")
        self.gamma = gamma
        self.statistics = RunningMeanStd(shape=())
        self.returns = np.zeros(num_envs)

    def update(self, rewards: np.ndarray, stepped: np.ndarray) -> None:
        """Update the deviation with the rewards of one step.

        Args:
            rewards: Float (N,).
            stepped: Bool (N,). Environments that were only reset are left out.
        """
        self.returns[stepped] = self.gamma * self.returns[stepped] + rewards[stepped]
        if stepped.any():
            self.statistics.update(self.returns[stepped])

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Return the normalised rewards, within [-10, 10]."""
        return np.clip(rewards / np.sqrt(self.statistics.var + 1e-8), -MAX_REWARD, MAX_REWARD)


class RewardProcessor:
    """Turn the scores of an intrinsic reward into the rewards that an agent learns from.

    The order is: steps that were not scored count 0, centring, normalisation, coefficient, and mixing with the game's
    own reward. The configuration decides which of these apply.

    Args:
        num_envs: Number of environments N that step together.
        config: Its fields `mode`, `coefficient`, `center`, `normalize` and `gamma` are used.

    Attributes:
        center: The running mean of the scored rewards.
        normalizer: The running deviation of the discounted sums.

    >>> processor = RewardProcessor(2, RewardConfig(mode="add", coefficient=0.5))
    >>> processor(np.array([1.0, 3.0]), np.array([True, False]), game_rewards=np.array([10.0, 20.0]))
    array([10.5, 20. ])
    """

    def __init__(self, num_envs: int, config: RewardConfig):
        self.config = config
        self.center, self.normalizer = RewardCenter(), ReturnNormalizer(num_envs, config.gamma)

    @property
    def statistics(self) -> dict[str, RunningMeanStd]:
        """Running statistics of the scored rewards ("rewards") and of their discounted sums ("returns")."""
        return {"returns": self.normalizer.statistics, "rewards": self.center.statistics}

    def __call__(
        self,
        intrinsic: np.ndarray,
        scored: np.ndarray,
        game_rewards: np.ndarray | float = 0.0,
        *,
        stepped: np.ndarray | None = None,
        update: bool = True,
    ) -> np.ndarray:
        """Return the rewards of one step or of several consecutive steps.

        Args:
            intrinsic: Float (N,) or (T, N), the scores.
            scored: Bool of the same shape. Steps that were scored.
            game_rewards: The game's own rewards, of the same shape. Used with mode "add".
            stepped: Bool of the same shape. Environments that were stepped and not only reset; all by default.
            update: Whether the running statistics take these rewards into account.

        Returns:
            Float64 of the same shape.
        """
        rewards = np.where(scored, intrinsic, 0).astype(np.float64)
        if self.config.center:
            rewards = self._centered(rewards, scored, update)
        if self.config.normalize:
            rewards = self._normalized(rewards, np.ones_like(scored) if stepped is None else stepped, update)
        rewards = self.config.coefficient * rewards
        return rewards if self.config.mode == "replace" else rewards + game_rewards

    def _centered(self, rewards: np.ndarray, scored: np.ndarray, update: bool) -> np.ndarray:
        if update:
            self.center.update(rewards, scored)
        return self.center(rewards, scored)

    def _normalized(self, rewards: np.ndarray, stepped: np.ndarray, update: bool) -> np.ndarray:
        if update:
            for step in zip(np.atleast_2d(rewards), np.atleast_2d(stepped), strict=True):
                self.normalizer.update(*step)
        return self.normalizer(rewards)
