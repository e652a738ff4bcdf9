"""A small environment that this package has never heard of, for tests: "tests.catch:make"."""

from typing import Any

import gymnasium as gym
import numpy as np

__all__ = ["Catch", "make"]

SIDES = {"LEFT": -3, "STAY": 0, "RIGHT": 3}


class Catch(gym.Env):
    """A block falls and can be moved; grey pictures with channels first, actions that start at 5."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, size: int = 40, fall: int = 20):
        self.size, self.fall = size, fall
        self.observation_space = gym.spaces.Box(0, 255, (1, size, size), np.uint8)
        self.action_space = gym.spaces.Discrete(3, start=5)

    def get_action_meanings(self) -> list[str]:
        return list(SIDES)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.x, self.y = int(self.np_random.integers(self.size - 8)), 0
        return self.picture(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.action_space.contains(action)
        self.x = int(np.clip(self.x + list(SIDES.values())[int(action) - 5], 0, self.size - 8))
        self.y += 1
        return self.picture(), float(self.x < 8), self.y >= self.fall, False, {}

    def picture(self) -> np.ndarray:
        picture = np.full((1, self.size, self.size), 40, np.uint8)
        picture[:, self.y : self.y + 8, self.x : self.x + 8] = 220
        return picture


def make(**kwargs: int) -> gym.Env:
    return Catch(**kwargs)
