"""From the frames and actions of an environment to those that a reward's models know."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from genie_gym.errors import ConfigError
from genie_gym.rewards.config import RewardConfig
from genie_gym.utils.images import letterbox

__all__ = ["EnvAdapter"]


@dataclass(frozen=True)
class EnvAdapter:
    """How an environment's frames and actions are shown to a reward.

    Attributes:
        size: Side in pixels of the frames that the reward sees.
        num_actions: Number of the environment's actions.
        resize: Whether frames are padded to squares and resized to that size; otherwise they have it.
        action_map: The model's action for each of the environment's; None where they are the same.
    """

    size: int
    num_actions: int
    resize: bool = False
    action_map: np.ndarray | None = None

    @classmethod
    def of(cls, observation_space: gym.Space, action_space: gym.Space, config: RewardConfig) -> "EnvAdapter":
        """Return the adapter for environments with these spaces.

        Raises:
            ConfigError: Observations are not uint8 (s, s, 3), or (h, w, 3) where they are resized; actions are not
                Discrete from 0, or the action map has not as many.
        """
        size, number = _frame_size(observation_space, config.resize), _num_actions(action_space)
        if config.action_map is not None and len(config.action_map) != number:
            raise ConfigError(
                f"action_map must have a model's action for each of the environment's {number}; "
                f"got {len(config.action_map)}"
            )
        chosen = None if config.action_map is None else np.array(config.action_map, np.int64)
        return cls(size, number, config.resize is not None, chosen)

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """Return frames uint8 (..., h, w, 3) as the reward sees them, (..., s, s, 3)."""
        if not self.resize:
            return frames
        shown = [letterbox(frame, self.size) for frame in frames.reshape(-1, *frames.shape[-3:])]
        return np.array(shown, np.uint8).reshape(*frames.shape[:-3], self.size, self.size, 3)

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """Return actions int (...) as the model counts them."""
        return actions if self.action_map is None else self.action_map[actions]


def _frame_size(observation_space: gym.Space, resize: int | None) -> int:
    shape: tuple[int, ...] = getattr(observation_space, "shape", None) or ()
    picture = isinstance(observation_space, gym.spaces.Box) and observation_space.dtype == np.uint8
    picture = picture and len(shape) == 3 and shape[2] == 3
    if not picture or (shape[0] != shape[1] and resize is None):
        raise ConfigError(
            f"the reward needs single square frames, uint8 (s, s, 3); the environment gives {observation_space}. Wrap "
            "it before frames are stacked, transposed or turned grey, for example around genie_gym.games.make, or with "
            "resize=64 around an environment that shows the game's own pictures, such as gym.make('ALE/Breakout-v5')"
        )
    return resize or shape[0]


def _num_actions(action_space: gym.Space) -> int:
    if not isinstance(action_space, gym.spaces.Discrete) or action_space.start != 0:
        raise ConfigError(f"the reward needs Discrete actions from 0; the environment takes {action_space}")
    return int(action_space.n)
