"""The real game beside a dream, in a process of its own: a process runs one emulator, and one that hangs is killed."""

import multiprocessing
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from genie_gym import games
from genie_gym.errors import GameError, GenieGymError
from genie_gym.games import GameSpec
from genie_gym.utils.images import letterbox
from genie_gym.utils.signals import interrupts_held

__all__ = ["RealFrame", "RealGame"]

PATIENCE = 60.0  # seconds for an answer; replaying minutes of play takes some


@dataclass(frozen=True)
class RealFrame:
    """One frame of the real game.

    Attributes:
        frame: uint8 (size, size, 3), as models see it.
        picture: uint8 (shown, shown, 3), as it is shown.
        reward: Reward of the step that led to it.
        ended: Whether the game is over; it then stays as it is.
    """

    frame: np.ndarray
    picture: np.ndarray
    reward: float = 0.0
    ended: bool = False


class RealGame:
    """A game that runs in another process. Its methods wait for that process, so call them in threads.

    Args:
        game: The game.
        size: Side of the model's frames in pixels.
        shown: Side of the pictures that are shown.

    Attributes:
        steps: Steps taken since it began.

    Raises:
        GameError: It does not start.
    """

    def __init__(self, game: GameSpec, size: int, shown: int):
        self.game, self.steps = game, 0
        context = multiprocessing.get_context("forkserver")  # a fork of this process would copy the locks of threads
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(game, size, shown, theirs), daemon=True)
        self._lock = threading.Lock()
        with interrupts_held():  # the parent decides what Ctrl-C means
            self._process.start()
        theirs.close()
        try:
            self._call("wait")
        except GameError:
            self.close()
            raise

    def begin(self, seed: int, idle: Sequence[int]) -> list[RealFrame]:
        """Start an episode and take some actions in it; return the first frame and that after each of them."""
        self.steps = 0
        return self._call("begin", seed, list(idle))

    def step(self, action: int) -> RealFrame:
        """Take one action."""
        self.steps += 1
        return self._call("step", action)

    def replay(self, actions: Sequence[int]) -> RealFrame:
        """Start the same episode again, take other actions after the first ones, and return the last frame."""
        self.steps = len(actions)
        return self._call("replay", list(actions))

    def close(self) -> None:
        """End the process. Closing twice is fine."""
        self._ours.close()
        self._process.kill()
        self._process.join()

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            try:
                self._ours.send((name, arguments))
                if not self._ours.poll(PATIENCE):
                    raise EOFError
                answer = self._ours.recv()
            except (EOFError, OSError) as error:
                raise GameError(f"{self.game.name} stopped answering in its own process; begin without it") from error
        if isinstance(answer, GenieGymError):
            raise GameError(str(answer)) from answer
        return answer


def _run(game: GameSpec, size: int, shown: int, theirs: Connection) -> None:
    """Answer the calls of a RealGame until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        try:
            here = _Game(game, size, shown)
        except GenieGymError as error:
            theirs.recv()
            theirs.send(error)
            return
        while True:
            name, arguments = theirs.recv()
            try:
                theirs.send(getattr(here, name)(*arguments))
            except GenieGymError as error:
                theirs.send(error)


class _Game:
    """The game in its process."""

    def __init__(self, game: GameSpec, size: int, shown: int):
        self._env, self._shown = games.make(game, size=size), shown
        self._begun: tuple[int, list[int]] = (0, [])
        self._last: RealFrame | None = None

    def wait(self) -> None:
        """Answer that the game has started."""

    def begin(self, seed: int, idle: list[int]) -> list[RealFrame]:
        self._begun = (seed, idle)
        frame, _ = self._env.reset(seed=seed)
        self._last = RealFrame(frame, self._picture())
        return [self._last, *(self.step(action) for action in idle)]

    def step(self, action: int) -> RealFrame:
        assert self._last is not None
        if not self._last.ended:
            frame, reward, terminated, truncated, _ = self._env.step(action)
            self._last = RealFrame(frame, self._picture(), reward, terminated or truncated)
        return self._last

    def replay(self, actions: list[int]) -> RealFrame:
        last = self.begin(*self._begun)[-1]
        for action in actions:
            last = self.step(action)
        return last

    def _picture(self) -> np.ndarray:
        return letterbox(self._env.render(), self._shown)
