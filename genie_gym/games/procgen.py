"""Procgen's sixteen games: every episode another level; they have no frames between steps, so nothing is skipped."""

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
    """One Procgen game: uint8 (64, 64, 3) pictures, one action for each of the spec's, levels drawn without limit.

    Args:
        game: which.
        distribution_mode: which levels.
        detailed: draw each picture a second time for `render`, 512x512 and smooth; the observations stay the same.

    Procgen itself goes on to the next level without showing the last picture of the one before. The step that ends an
    episode therefore returns the last picture that was seen.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}
    render_mode = "rgb_array"

    def __init__(self, game: GameSpec, distribution_mode: str = "hard", detailed: bool = False):
        self.game, self._mode, self._detailed = game, distribution_mode, detailed
        self._procgen = _import_procgen()
        self._levels: Any = None
        self._fresh = False  # whether the level on the screen is one that nobody has played
        self.observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(game.actions))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Goes to the next level of the seed's endless row of levels."""
        super().reset(seed=seed)
        if seed is not None or self._levels is None:
            self._start(int(self.np_random.integers(2**31)))
        elif not self._fresh:
            self._levels.act(np.array([-1], np.int32))  # Procgen's way to give a level up
        self._fresh = False
        return self._look(), self._info()

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One step of the game, 1/15 s when a person plays."""
        self._levels.act(self._codes[int(action)])
        rewards, _, firsts = self._levels.observe()
        self._fresh = bool(firsts[0])
        if not self._fresh:
            self._look()
        return self._picture, float(rewards[0]), self._fresh, False, self._info()

    def render(self) -> np.ndarray:
        """The present picture, uint8 (64, 64, 3), or (512, 512, 3) where it is `detailed`."""
        return self._fine if self._detailed else self._picture

    def close(self) -> None:
        """Frees the game."""
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

    def _look(self) -> np.ndarray:
        self._picture = self._levels.observe()[1]["rgb"][0].copy()
        if self._detailed:
            self._fine = self._levels.get_info()[0]["rgb"].copy()
        return self._picture

    def _info(self) -> dict[str, Any]:
        return {key: int(value) for key, value in self._levels.get_info()[0].items() if np.ndim(value) == 0}


def _import_procgen() -> ModuleType:
    try:
        # It still registers its games with the old gym, which prints that it is old.
        with contextlib.redirect_stderr(io.StringIO()):
            import procgen
    except ImportError as error:
        raise MissingExtraError(
            "Procgen games need an extra: `pip install genie_gym[procgen]` (Python 3.12 or older, numpy below 2)."
        ) from error
    return procgen
