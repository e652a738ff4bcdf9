"""Looking at a game for its annotation: recorded and probed in a process of its own, of which clips are kept.

A process runs one emulator, and one that hangs is killed.
"""

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from genie_gym.annotation.probe import Proposal, propose
from genie_gym.annotation.record import record_game
from genie_gym.errors import GameError, GenieGymError
from genie_gym.utils.images import letterbox
from genie_gym.utils.signals import interrupts_held

__all__ = ["Look", "look_at"]

PATIENCE = 900.0  # seconds
SIDE = 160  # pixels of the clips


@dataclass(frozen=True)
class Look:
    """What is seen of a game.

    Attributes:
        game: Its name.
        fps: Steps per second.
        proposal: Labels that the probe proposes.
        clips: Frames uint8 (t, 160, 160, 3) while each button was held, by RetroAct's name, and "NOOP", from the state
            in which most buttons have an effect.
    """

    game: str
    fps: float
    proposal: Proposal
    clips: dict[str, np.ndarray]


def look_at(name: str, seed: int = 0) -> Look:
    """Record and probe a game in another process.

    Args:
        name: Name of the game.
        seed: Random seed of the game and of random play.

    Raises:
        GameError: The game is unknown, does not start or does not answer.
    """
    context = multiprocessing.get_context("forkserver")  # a fork of this process would copy the locks of threads
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(name, seed, theirs), daemon=True)
    with interrupts_held():  # the parent decides what Ctrl-C means
        process.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(PATIENCE) else None
    except (EOFError, OSError):
        answer = None
    finally:
        ours.close()
        process.kill()
        process.join()
    if isinstance(answer, GenieGymError):
        raise GameError(str(answer)) from answer
    if answer is None:
        raise GameError(f"{name} stopped answering in its own process; leave it out")
    return answer


def _answer(name: str, seed: int, theirs: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        theirs.send(_look(name, seed))
    except GenieGymError as error:
        theirs.send(error)


def _look(name: str, seed: int) -> Look:
    recording = record_game(name, seed)
    proposal = propose(recording)
    clips = recording.starts[proposal.shown].clips
    small = {button: np.stack([letterbox(frame, SIDE) for frame in clip]) for button, clip in clips.items()}
    return Look(recording.game, recording.fps, proposal, small)
