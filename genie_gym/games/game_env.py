"""One interface over every game: small square pictures, named discrete actions, frame skip and random starts."""

from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym import frames
from genie_gym.errors import GameError, InvalidActionError
from genie_gym.games.spec import GameSpec

__all__ = ["GameEnv"]


class GameEnv(gym.Env[np.ndarray, np.int64]):
    """A game as agents and world models see it.

    Observations are uint8 (size, size, 3) RGB, the game's picture padded to a square and resized by area; `render()`
    gives the picture in the game's own resolution. Actions are `Discrete`, named by `get_action_meanings()`. Rewards
    are summed over the skipped frames; an episode ends with the frame that ends it. All randomness comes from the seed
    given to `reset`.

    Attributes:
        game: the GameSpec, with the frame skip in use.
        source: the environment the pictures come from.
    """

    render_mode = "rgb_array"

    def __init__(
        self,
        source: gym.Env,
        game: GameSpec,
        *,
        size: int = 64,
        random_start: bool = True,
        max_steps: int | None = None,
    ):
        if size < 1 or (max_steps is not None and max_steps < 1):
            raise GameError(f"size and max_steps should be at least 1. Received {size} and {max_steps}.")
        self.game, self.source = game, source
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": round(game.fps),
        }  # gymnasium.utils.play takes whole numbers only
        self.observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(game.actions))
        self._size, self._random_start, self._max_steps = size, random_start, max_steps
        self._picture: np.ndarray | None = None
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Starts an episode.

        Args:
            seed: makes the whole episode, and those after it, repeatable.
            options: "noops", a number of idle steps at the start in place of a random one; the rest goes to the game
                (retro games take "state", the name of a savestate).
        """
        super().reset(seed=seed)
        passed = dict(options or {})
        noops = passed.pop("noops", None)
        if noops is None:
            noops = self._draw_noops()
        elif not isinstance(noops, int | np.integer) or noops < 0:
            raise GameError(f"The option 'noops' should be an integer of at least 0. Received {noops!r}.")
        self._picture, info = self.source.reset(seed=seed, options=passed)
        latest = self._idle(noops, {**passed, **_same_state(info)})
        self._steps = 0
        return self._observation(), {**info, **latest, "noops": noops}

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Holds one action for `game.frame_skip` frames.

        Raises:
            InvalidActionError: the action is not an integer from 0 to n - 1.
            GameError: the environment was not reset.
        """
        if not self.action_space.contains(action):
            choices = ", ".join(f"{i} {meaning}" for i, meaning in enumerate(self.game.meanings))
            raise InvalidActionError(f"{self.game.name} takes one action of {choices}. Received {action!r}.")
        if self._picture is None:
            raise GameError("Call reset() before step().")
        reward, terminated, truncated, info = self._advance(action)
        self._steps += 1
        truncated = truncated or self._steps == self._max_steps
        return self._observation(), reward, terminated, truncated, info

    def render(self) -> np.ndarray:
        """The present picture in the game's own resolution, uint8 (height, width, 3)."""
        if self._picture is None:
            raise GameError("Call reset() before render().")
        if self.source.render_mode == "rgb_array":
            return np.asarray(self.source.render())
        return self._picture

    def close(self) -> None:
        """Frees the emulator."""
        self.source.close()

    def get_action_meanings(self) -> list[str]:
        """Names of the actions, in order."""
        return self.game.meanings

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Pressed keys to action, as `gymnasium.utils.play` takes it."""
        return self.game.keys_to_action()

    def _advance(self, action: int | np.integer) -> tuple[float, bool, bool, dict]:
        total = 0.0
        for _ in range(self.game.frame_skip):
            self._picture, reward, terminated, truncated, info = self.source.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return total, bool(terminated), bool(truncated), info

    def _idle(self, steps: int, options: dict[str, Any]) -> dict[str, Any]:
        """Lets the game run alone; a game that ends meanwhile starts anew from the same state. What it tells last."""
        info: dict[str, Any] = {}
        if self.game.noop is None:
            return info
        for _ in range(steps):
            _, terminated, truncated, info = self._advance(self.game.noop)
            if terminated or truncated:
                self._picture, info = self.source.reset(options=options)
        return info

    def _draw_noops(self) -> int:
        # A child stream: the source is given the same seed, and its first draw must not decide this one.
        return int(self.np_random.spawn(1)[0].integers(self.game.noop_max + 1)) if self._random_start else 0

    def _observation(self) -> np.ndarray:
        assert self._picture is not None
        return frames.square(self._picture, self._size)


def _same_state(info: dict) -> dict[str, Any]:
    return {"state": info["state"]} if "state" in info else {}
