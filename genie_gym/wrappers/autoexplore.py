"""AutoExplore as the reward of one environment, a `gymnasium.Wrapper`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.make import check_is, make_pipeline
from genie_gym.utils.options import make_config

__all__ = ["AutoExploreReward"]


class AutoExploreReward(gym.Wrapper[np.ndarray, np.int64, np.ndarray, np.int64], gym.utils.RecordConstructorArgs):
    """Reward the agent for the uncertainty of the world model.

    The first steps of an episode are rewarded 0, until it has context + horizon frames. With the defaults the first
    reward is that of the step to the fifth frame.

    `info["game_reward"]` holds the game's own reward, `info["intrinsic_reward"]` the score of the step, before
    centring, normalisation and coefficient, and `info["scored"]` whether there was one: a score may be 0 too.

    Args:
        env: An environment with observations uint8 (s, s, 3) and the world model's Discrete actions, such as
            `genie_gym.games.make` returns.
        game: Name of a game. Its weights are looked for in the user's folder, then in the package.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        config: Options of the reward.
        options: Fields of RewardConfig, in place of `config`.

    Attributes:
        reward_pipeline: The RewardPipeline. Its `score.map` shows which places in the frame the last reward came from.
            Set its `training` to False to freeze the running statistics while an agent is evaluated.

    Raises:
        ConfigError: An option is out of range, or the world model does not fit the frames or actions.
        CheckpointError: There are no weights.
        GameError: The game is unknown.

    >>> from genie_gym import games
    >>> env = AutoExploreReward(games.make("Toy"), reward="none")
    >>> frame, info = env.reset(seed=0)
    >>> frame, reward, terminated, truncated, info = env.step(1)
    >>> reward, info["game_reward"]
    (0.0, 0.0)
    """

    def __init__(
        self,
        env: gym.Env,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        config: RewardConfig | None = None,
        **options: Any,
    ):
        config = make_config(RewardConfig, config, options)
        place = checkpoint and str(checkpoint)
        check_is(env, gym.Env, "one environment", "genie_gym.wrappers.vector.AutoExploreReward takes several")
        gym.utils.RecordConstructorArgs.__init__(self, game=game, checkpoint=place, **asdict(config))
        gym.Wrapper.__init__(self, env)
        spaces = env.observation_space, env.action_space
        self.reward_pipeline = make_pipeline(
            1, *spaces, game, checkpoint, config=config, action_meanings=_action_meanings(env)
        )
        self._episode_over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode. With a seed, the steps that `score_interval` leaves out are the same every time."""
        frame, info = self.env.reset(seed=seed, options=options)
        self.reward_pipeline.check_frames(frame)
        self.reward_pipeline.reset(frame[None])
        if seed is not None:
            self.reward_pipeline.reset_step_count()
        self._episode_over = False
        return frame, info

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take an action and return the reward of the frame it leads to, also of the last frame of an episode.

        If an episode is over, the next step only starts a new one and is rewarded 0, as with Gymnasium's `Autoreset`
        wrapper inside.
        """
        only_resets = self._episode_over
        frame, game_reward, terminated, truncated, info = self.env.step(action)
        game_reward = float(info.get("game_reward", game_reward))  # an imagined environment may replace the reward
        self.reward_pipeline.on_action(np.array([action]), np.array([not only_resets]))
        rewards = self.reward_pipeline.observe(frame[None], np.array([game_reward]))
        if only_resets:
            self.reward_pipeline.reset(frame[None])
        self._episode_over = terminated or truncated
        info = {**info, "game_reward": game_reward, "intrinsic_reward": float(rewards.intrinsic[0])}
        info["scored"] = bool(self.reward_pipeline.scored[0])
        return frame, float(rewards.total[0]), terminated, truncated, info


def _action_meanings(env: gym.Env) -> Sequence[str] | None:
    """Return the names of the actions, where the environment provides them."""
    known = env.has_wrapper_attr("get_action_meanings")
    return env.get_wrapper_attr("get_action_meanings")() if known else None
