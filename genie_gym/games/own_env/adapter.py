"""An environment with other observations or actions as a game: pictures uint8 (h, w, 3), actions Discrete from 0."""

from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import GameError
from genie_gym.games.own_env.pictures import OBSERVATION, choose_picture, picture_of, to_rgb
from genie_gym.utils.validation import short

__all__ = ["OwnGame", "as_game"]


def as_game(env: gym.Env, actions: list[Any], picture: str | None = None) -> gym.Env:
    """Return an environment as `OwnGame` makes it one for a game; an environment that is one already, as it is."""
    game, space = OwnGame(env, actions, picture), env.observation_space
    shown = game.picture == OBSERVATION and space.shape is not None and space.shape[2:] == (3,)
    same = isinstance(env.action_space, gym.spaces.Discrete) and actions == list(range(int(env.action_space.n)))
    return env if shown and same else game


class OwnGame(gym.Wrapper[np.ndarray, np.int64, Any, Any]):
    """An environment as a game: observations uint8 (height, width, 3) and `Discrete` actions that start at 0.

    Args:
        env: The environment.
        actions: What it is given for action i, see `action_table`.
        picture: Where its pictures are, see `choose_picture`.

    Raises:
        GameError: The environment shows no picture there.
    """

    def __init__(self, env: gym.Env, actions: list[Any], picture: str | None = None):
        if not isinstance(env, gym.Env):
            raise GameError(f"Only an environment of Gymnasium can be wrapped. Received {short(env)}.")
        super().__init__(env)
        self.picture = choose_picture(env, picture)
        self.action_space = gym.spaces.Discrete(len(actions))
        discrete, dtype = isinstance(env.action_space, gym.spaces.Discrete), env.action_space.dtype
        self._actions: list[Any] = [np.int64(one) if discrete else np.array(one, dtype) for one in actions]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return picture_of(self.env, observation, self.picture), info

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Take one step with the environment's own action for this one."""
        observation, reward, terminated, truncated, info = self.env.step(self._actions[int(action)])
        return picture_of(self.env, observation, self.picture), float(reward), bool(terminated), bool(truncated), info

    def render(self) -> np.ndarray:  # type: ignore[override]
        """Return the image that the environment renders, uint8 (height, width, 3)."""
        return to_rgb(self.env.render())
