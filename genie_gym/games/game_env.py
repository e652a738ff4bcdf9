"""One interface for all games: small square images, named discrete actions, frame skip and random starts."""

from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import ClosedError, GameError, InvalidActionError
from genie_gym.games import savestates
from genie_gym.games.ram_positions import position
from genie_gym.games.spec import GameSpec
from genie_gym.utils import images
from genie_gym.utils.validation import check_reset_seed, short, typed

__all__ = ["GameEnv"]

MAX_SIZE = 4096  # pixels
MAX_NOOPS = 10_000


class GameEnv(gym.Env[np.ndarray, np.int64]):
    """A game as agents and world models see it.

    Observations are uint8 (size, size, 3) RGB: the game's image padded to a square and resized by area interpolation.
    `render()` returns the image at the game's own resolution. Actions are `Discrete` and named by
    `get_action_meanings()`. Rewards are summed over skipped frames, and no frame is skipped past the end of an episode.
    All randomness comes from the seed passed to `reset`. Infos hold the player's "position" in the game's own units
    where it is known, see `genie_gym.games.ram_positions`.

    Args:
        source: Environment of the game itself, with uint8 (height, width, 3) observations.
        game: Specification of the game.
        size: Side of the square observation in pixels.
        random_start: Start episodes after a random number of no-op steps.
        max_steps: Truncate episodes after this many steps; no limit by default.

    Attributes:
        game: Specification of the game, with the frame skip in use.
        source: Environment of the game itself.

    Raises:
        GameError: `size` or `max_steps` is less than 1, or `size` above 4096.
        ConfigError: An option has the wrong type.
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
        size, max_steps = typed("size", size, int), typed("max_steps", max_steps, int | None)
        random_start = typed("random_start", random_start, bool)
        if size < 1 or (max_steps is not None and max_steps < 1):
            raise GameError(f"size and max_steps should be at least 1. Received {size} and {max_steps}.")
        if size > MAX_SIZE:
            raise GameError(f"size should be at most {MAX_SIZE} pixels. Received {size}.")
        self.game, self.source = game, source
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": round(game.fps),
        }  # gymnasium.utils.play takes whole numbers only
        self.observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(game.actions))
        self._size, self._random_start, self._max_steps = size, random_start, max_steps
        self._image: np.ndarray | None = None
        self._steps = 0
        self._closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode.

        Args:
            seed: Random seed of this episode and those after it.
            options: "noops" is the number of no-op steps at the start, random by default. All other options are passed
                to the game (console games take "state", the name of a savestate).

        Raises:
            GameError: "noops" is no integer from 0 to 10,000, or the options are no dictionary; nothing has changed.
            ConfigError: The seed is no whole number, 0 or more.
            ClosedError: The game is closed.
        """
        self._check_open()
        if options is not None and not isinstance(options, dict):
            raise GameError(f"The options of a reset should be a dictionary. Received {short(options)}.")
        game_options = dict(options or {})
        noops = game_options.pop("noops", None)
        if noops is not None and not _is_integer(noops, MAX_NOOPS):
            raise GameError(
                f"The option 'noops' should be an integer of at least 0 and at most {MAX_NOOPS}. "
                f"Received {short(noops)}."
            )
        seed = check_reset_seed(seed)
        super().reset(seed=seed)
        noops = self._draw_noops() if noops is None else noops
        self._image, info = self.source.reset(seed=seed, options=game_options)
        latest = self._idle(noops, {**game_options, **_same_state(info)})
        self._steps = 0
        return self._observation(), self._with_position({**info, **latest, "noops": noops})

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Hold one action for `game.frame_skip` frames.

        Raises:
            InvalidActionError: The action is not an integer from 0 to n - 1.
            GameError: The environment was not reset.
            ClosedError: The game is closed.
        """
        self._check_open()
        if isinstance(action, bool) or not self.action_space.contains(action):
            choices = ", ".join(f"{i} {meaning}" for i, meaning in enumerate(self.game.meanings))
            raise InvalidActionError(f"{self.game.name} takes one action of {choices}. Received {short(action)}.")
        if self._image is None:
            raise GameError("Call reset() before step().")
        reward, terminated, truncated, info = self._advance(action)
        self._steps += 1
        truncated = truncated or self._steps == self._max_steps
        return self._observation(), reward, terminated, truncated, self._with_position(info)

    def render(self) -> np.ndarray:
        """Return the current image at the game's own resolution, uint8 (height, width, 3)."""
        self._check_open()
        if self._image is None:
            raise GameError("Call reset() before render().")
        if self.source.render_mode == "rgb_array":
            return np.asarray(self.source.render())
        return self._image

    def has_savestates(self) -> bool:
        """Return whether `snapshot` and `restore` can be used."""
        return savestates.can_save(self.source)

    def snapshot(self) -> Any:
        """Return the state of the running game, from which `restore` goes on, also in another process.

        Raises:
            GameError: The game has no savestates, or was not reset.
            ClosedError: The game is closed.
        """
        self._check_savestates()
        if self._image is None:
            raise GameError("Call reset() before snapshot().")
        return savestates.save(self.source), self._image

    def restore(self, snapshot: Any) -> np.ndarray:
        """Go on from a state that `snapshot` returned, as an episode that begins there; return its frame.

        Only a state of the same game can be restored. The steps of `max_steps` are counted from here.

        Raises:
            GameError: The game has no savestates, or was not reset.
            ClosedError: The game is closed.
        """
        self._check_savestates()
        if self._image is None:
            raise GameError("Call reset() before restore().")
        state, self._image = snapshot
        savestates.restore(self.source, state)
        self._steps = 0
        return self._observation()

    def close(self) -> None:
        """Close the game, which cannot be used afterwards. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self.source.close()

    def get_action_meanings(self) -> list[str]:
        """Return the names of the actions, in order."""
        return self.game.meanings

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Return pygame key codes to action, for `gymnasium.utils.play`."""
        return self.game.keys_to_action()

    def _check_savestates(self) -> None:
        self._check_open()
        if not self.has_savestates():
            raise GameError(
                f"{self.game.name} has no savestates; the games of stable-retro and ale-py have, and the toy game."
            )

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.game.name} is closed; make it again to go on")

    def _advance(self, action: int | np.integer) -> tuple[float, bool, bool, dict]:
        total = 0.0
        for _ in range(self.game.frame_skip):
            self._image, reward, terminated, truncated, info = self.source.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return total, bool(terminated), bool(truncated), info

    def _idle(self, steps: int, options: dict[str, Any]) -> dict[str, Any]:
        """Take no-op steps, restarting from the same state if the game ends; return the last info."""
        info: dict[str, Any] = {}
        if self.game.noop is None:
            return info
        for _ in range(steps):
            _, terminated, truncated, info = self._advance(self.game.noop)
            if terminated or truncated:
                self._image, info = self.source.reset(options=options)
        return info

    def _with_position(self, info: dict[str, Any]) -> dict[str, Any]:
        found = position(self.game, self.source, info)
        return info if found is None else {**info, "position": found}

    def _draw_noops(self) -> int:
        # A child stream: the source has the same seed, and its first draw must not determine this one.
        return int(self.np_random.spawn(1)[0].integers(self.game.noop_max + 1)) if self._random_start else 0

    def _observation(self) -> np.ndarray:
        assert self._image is not None
        return images.letterbox(self._image, self._size)


def _is_integer(value: Any, most: int) -> bool:
    """Return whether a value is an integer from 0 to `most`."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= int(value) <= most


def _same_state(info: dict) -> dict[str, Any]:
    return {"state": info["state"]} if "state" in info else {}
