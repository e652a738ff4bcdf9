"""AutoExploreReward for one environment, a `gymnasium.Wrapper`."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.rewards import RewardOptions, RewardStream, make_reward, sizes

__all__ = ["AutoExploreReward"]


class AutoExploreReward(gym.Wrapper[np.ndarray, np.int64, np.ndarray, np.int64], gym.utils.RecordConstructorArgs):
    """Pays the agent for what the world model is unsure of.

    An episode's first steps are paid 0, until it has context + horizon frames; with the defaults the step that leads
    to the fifth frame is the first that is paid.

    Args:
        env: observations uint8 (s, s, 3) and the world model's Discrete actions, as `genie_gym.games.make` gives.
        game: name of a game; its weights are looked for in the user's folder, then in the package.
        checkpoint: a checkpoint folder or the id of a model on the Hugging Face hub; overrules `game`.
        options: of `genie_gym.rewards.RewardOptions`: mode="replace" or "add", coefficient, center, normalize, gamma,
            every, context, horizon, quantile, steps, device, precision, reward (for a baseline in AutoExplore's place),
            seed.

    `info["game_reward"]` keeps the game's own reward, `info["intrinsic_reward"]` the intrinsic one as it was scored,
    before normalisation and coefficient.

    Attributes:
        reward_stream: the RewardStream; its `score.map` shows where in the picture the last reward came from, and
            `training = False` holds centring and normalisation still, for evaluation.

    Raises:
        ConfigError: an option out of range, or pictures or actions that the world model does not know.
        CheckpointError, GameError: no weights, or an unknown game.

    >>> from genie_gym import games
    >>> env = AutoExploreReward(games.make("Toy"), reward="none")
    >>> frame, info = env.reset(seed=0)
    >>> frame, reward, terminated, truncated, info = env.step(1)
    >>> reward, info["game_reward"]
    (0.0, 0.0)
    """

    def __init__(self, env: gym.Env, game: str | None = None, checkpoint: str | Path | None = None, **options: Any):
        gym.utils.RecordConstructorArgs.__init__(self, game=game, checkpoint=checkpoint and str(checkpoint), **options)
        gym.Wrapper.__init__(self, env)
        chosen = RewardOptions(**options)
        tells = env.has_wrapper_attr("get_action_meanings")
        meanings = env.get_wrapper_attr("get_action_meanings")() if tells else None
        reward = make_reward(env.observation_space, env.action_space, game, checkpoint, meanings, chosen)
        self.reward_stream = RewardStream(reward, 1, *sizes(env.observation_space, env.action_space), chosen)
        self._over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode."""
        frame, info = self.env.reset(seed=seed, options=options)
        self.reward_stream.begin(frame[None])
        if seed is not None:
            self.reward_stream.restart()
        self._over = False
        return frame, info

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes an action; the reward is of the frame it led to, the last of an episode included.

        After an end the next step begins an episode and is paid 0, as with Gymnasium's `Autoreset` inside.
        """
        begun = self._over
        frame, game_reward, terminated, truncated, info = self.env.step(action)
        own = float(info.get("game_reward", game_reward))  # dreams that are paid otherwise tell it
        self.reward_stream.act(np.array([action]), np.array([not begun]))
        rewards = self.reward_stream.see(frame[None], np.array([own]))
        if begun:
            self.reward_stream.begin(frame[None])
        self._over = terminated or truncated
        told = {"game_reward": own, "intrinsic_reward": float(rewards.intrinsic[0])}
        return frame, float(rewards.total[0]), terminated, truncated, {**info, **told}
