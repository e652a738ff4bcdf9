"""The sixteen games of Procgen, with another level in every episode and no frame skip."""

import contextlib
import io
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import MissingExtraError
from genie_gym.games.spec import GameSpec

__all__ = ["ProcgenGame"]


class ProcgenGame(gym.Env[np.ndarray, np.int64]):
    """One Procgen game with uint8 (64, 64, 3) observations and the actions of its specification.

    Procgen starts the next level without showing the last image of the level before. The step that ends an episode
    therefore returns the image of the step before it.

    Args:
        game: Specification of the game.
        distribution_mode: Procgen's difficulty of levels.
        detailed: Draw each image a second time at 512x512 pixels for `render`; observations stay the same.

    Raises:
        MissingExtraError: Procgen is not installed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}
    render_mode = "rgb_array"

    def __init__(self, game: GameSpec, distribution_mode: str = "hard", detailed: bool = False):
        self.game, self._mode, self._detailed = game, distribution_mode, detailed
        self._procgen = _import_procgen()
        self._levels: Any = None
        self._fresh = False  # whether no step was taken in the current level
        self.observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(game.actions))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start the next level of the seed's unlimited sequence of levels."""
        super().reset(seed=seed)
        if seed is not None or self._levels is None:
            self._start(int(self.np_random.integers(2**31)))
        elif not self._fresh:
            self._levels.act(np.array([-1], np.int32))  # Procgen's action to abandon a level
        self._fresh = False
        return self._observe(), self._info()

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Take one step of the game, 1/15 s of real time."""
        self._levels.act(self._codes[int(action)])
        rewards, _, firsts = self._levels.observe()
        self._fresh = bool(firsts[0])
        if not self._fresh:
            self._observe()
        return self._image, float(rewards[0]), self._fresh, False, self._info()

    def render(self) -> np.ndarray:
        """Return the current image, uint8 (64, 64, 3), or (512, 512, 3) if `detailed`."""
        return self._detailed_image if self._detailed else self._image

    def close(self) -> None:
        """Close the game."""
        if self._levels is not None:
            self._levels.close()
            self._levels = None

    def _start(self, seed: int) -> None:
        self.close()
        self._levels = self._procgen.ProcgenGym3Env(
            num=1,
            num_threads=0,
            env_name=self.game.title.lower(),
            rand_seed=seed,
            distribution_mode=self._mode,
            render_mode="rgb_array" if self._detailed else None,
        )
        combos = [set(combo) for combo in self._levels.combos]
        self._codes = [np.array([combos.index(set(action.buttons))], np.int32) for action in self.game.actions]

    def _observe(self) -> np.ndarray:
        self._image = self._levels.observe()[1]["rgb"][0].copy()
        if self._detailed:
            self._detailed_image = self._levels.get_info()[0]["rgb"].copy()
        return self._image

    def _info(self) -> dict[str, Any]:
        return {key: int(value) for key, value in self._levels.get_info()[0].items() if np.ndim(value) == 0}


def _import_procgen() -> ModuleType:
    try:
        # It registers its games with the deprecated gym package, which prints a warning.
        with contextlib.redirect_stderr(io.StringIO()):
            import procgen
    except ImportError as error:
        raise MissingExtraError(
            "Procgen games need an extra: `pip install genie_gym[procgen]` (Python 3.12 or older, numpy below 2)."
        ) from error
    return procgen
