"""Recording what buttons do: from the same states of a game each button is held, and nothing is.

Shapes: t steps, f emulator frames, h and w the console's own resolution.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genie_gym import games
from genie_gym.annotation.buttons import button_game
from genie_gym.games import GameEnv
from genie_gym.games.retroact.table import BUTTONS

__all__ = ["HELD", "NOTHING", "STARTS", "Recording", "Start", "record_game"]

NOTHING = "NOOP"
HELD = 20  # steps for which a button is held: 1.3 s
SKIP = 4  # emulator frames of a step
# The states from which buttons are tried: steps of doing nothing, and of random play, since the game's savestate.
STARTS = ((0, 0), (30, 0), (60, 0), (10, 90))
STICK = 0.8  # probability that random play keeps its action


@dataclass(frozen=True)
class Start:
    """What was seen from one state.

    Attributes:
        waited: Steps of doing nothing before it.
        played: Steps of random play before it.
        clips: Frames while a button was held, uint8 (t + 1, h, w, 3), by RetroAct's name of the button, or "NOOP".
            The first frame is that of the state.
    """

    waited: int
    played: int
    clips: dict[str, np.ndarray]


@dataclass(frozen=True)
class Recording:
    """What was seen of a game.

    Attributes:
        game: Its name.
        fps: Steps per second.
        missing: Buttons that it does not have.
        starts: What was seen from each state; the first is that of the savestate.
        idle: Every emulator frame while nothing was held, uint8 (f, h, w, 3).
    """

    game: str
    fps: float
    missing: tuple[str, ...]
    starts: tuple[Start, ...]
    idle: np.ndarray


def record_game(name: str, seed: int = 0) -> Recording:
    """Return a recording of a game, which runs in this process: one that runs an emulator already can have no other.

    Args:
        name: Name of the game.
        seed: Random seed of the game and of random play.

    Raises:
        GameError: The game is unknown, or does not start.
    """
    known = button_game(name)
    skip = SKIP if known.game.frame_skip > 1 else 1
    env = games.make(known.game, size=8, frame_skip=1, random_start=False)
    try:
        player = _Player(env, seed, skip)
        pressed = {NOTHING: env.game.noop or 0} | {b: a for b, a in known.actions.items() if a is not None}
        starts = []
        for waited, played in STARTS:
            begin = player.reach(waited, played)
            clips = {button: player.hold(begin, action) for button, action in pressed.items()}
            starts.append(Start(waited, played, clips))
        idle = player.idle(player.reach(*STARTS[1]))
        missing = tuple(button for button in BUTTONS if known.actions[button] is None)
        return Recording(known.game.name, known.game.fps, missing, tuple(starts), idle)
    finally:
        env.close()


class _Player:
    """A game that is brought into states, and held buttons in.

    Args:
        env: The game, one emulator frame a step.
        seed: Random seed of all that follows.
        skip: Emulator frames for which an action is held.
    """

    def __init__(self, env: GameEnv, seed: int, skip: int):
        self._env, self._seed, self._skip = env, seed, skip
        self._noop = env.game.noop or 0
        self._image, self._over = np.zeros(0, np.uint8), False

    def reach(self, waited: int, played: int) -> Any:
        """Go to a state; return what `_return` needs to come back: a savestate, or the way to it."""
        way = [self._noop] * waited + self._random(played)
        self._walk(way)
        return (self._env.snapshot() if self._env.has_savestates() else None), self._image, way

    def hold(self, begin: Any, action: int) -> np.ndarray:
        """Hold an action from a state; return the frames."""
        self._return(begin)
        frames = [self._image]
        for _ in range(HELD):
            self._step(action)
            frames.append(self._image)
        return np.stack(frames)

    def idle(self, begin: Any) -> np.ndarray:
        """Do nothing from a state; return every emulator frame."""
        self._return(begin)
        frames = []
        for _ in range(HELD * self._skip):
            self._frame(self._noop)
            frames.append(self._image)
        return np.stack(frames)

    def _random(self, steps: int) -> list[int]:
        rng = np.random.default_rng([self._seed, steps])
        actions, action = [], self._noop
        for _ in range(steps):
            if rng.random() > STICK:
                action = int(rng.integers(len(self._env.game.actions)))
            actions.append(action)
        return actions

    def _walk(self, way: list[int]) -> None:
        """Take the actions from the game's start; begin again without playing on where it ends on the way."""
        self._env.reset(seed=self._seed, options={"noops": 0})
        self._image, self._over = self._env.render(), False
        for number, action in enumerate(way):
            self._step(action)
            if self._over:  # where the player has just died, no button does anything
                self._walk(way[: number // 2])
                return

    def _return(self, begin: Any) -> None:
        state, image, way = begin
        if state is None:
            self._walk(way)
        else:
            self._env.restore(state)
            self._image, self._over = image, False

    def _step(self, action: int) -> None:
        for _ in range(self._skip):
            self._frame(action)

    def _frame(self, action: int) -> None:
        if not self._over:
            self._image, _, terminated, truncated, _ = self._env.source.step(action)  # no smaller picture is needed
            self._over = bool(terminated or truncated)
