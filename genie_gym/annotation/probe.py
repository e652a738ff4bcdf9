"""Proposing RetroAct's labels from a recording: what each button does, and what of the rest can be seen.

View and genre are for people. Words are those of the published table.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from genie_gym.annotation.motion import Change, change_of, drift, flicker
from genie_gym.annotation.record import NOTHING, Recording, Start
from genie_gym.games.retroact.table import BUTTONS

__all__ = ["Proposal", "effect_of", "propose"]

NONE = "none"
MOVED = 0.02  # of the picture's height, by which the middle of what differs must move: half as far as the thing moves
FALLS_BACK = 0.5  # of the way up, that a jump comes down again
FLIES = 0.35  # of the steps: what flies away leaves the place where it began sooner
SCROLLS = 0.55  # of what changes, that the motion of a camera explains
MOSTLY = 0.6  # of the time
BETWEEN = 4  # steps between pictures in which its motion is looked for
FLICKERING = 8.0  # pixels
DIRECTIONS = {"RIGHT": (1, 0), "LEFT": (-1, 0), "UP": (0, -1), "DOWN": (0, 1)}
# What a button does that changes something in its place: the word that is most common for it in the published table.
IN_PLACE = {
    "RIGHT": "right",
    "LEFT": "left",
    "UP": "anim-u",
    "DOWN": "crouch",
    "ACTION_PRIMARY": "anim",
    "ACTION_SECONDARY": "anim",
}


@dataclass(frozen=True)
class Proposal:
    """Labels of a game, of which a person may change any.

    Attributes:
        effects: Effect of each button.
        motion: "free", "h", "v" or "fixed".
        camera: Direction in which the camera moves by itself, or "none".
        blinking: Whether something flickers.
        delayed: Whether no button has an effect in the first state, and some have one later.
        shown: Number of the state in which most buttons have an effect.
    """

    effects: dict[str, str]
    motion: str
    camera: str
    blinking: bool
    delayed: bool
    shown: int


def propose(recording: Recording) -> Proposal:
    """Return labels for what was recorded."""
    seen = [_effects(start) for start in recording.starts]
    active = [sum(effect != NONE for effect in one.values()) for one in seen]
    effects = {button: _most_common([one.get(button, NONE) for one in seen]) for button in BUTTONS}
    return Proposal(
        effects=effects,
        motion=_motion(effects),
        camera=_camera(recording),
        blinking=flicker(recording.idle) >= FLICKERING,
        delayed=active[0] == 0 and max(active) > 0,
        shown=int(np.argmax(active)),
    )


def effect_of(button: str, change: Change | None) -> str:
    """Return the word for what a button changed.

    Args:
        button: RetroAct's name of the button.
        change: What it changed, None for nothing.
    """
    if change is None:
        return NONE
    if change.whole and any(change.camera):
        return _direction(-change.camera[0], -change.camera[1])  # the picture moves left where the player moves right
    path = change.path[~np.isnan(change.path).any(1)]
    reach = path[np.abs(path).max(1).argmax()] if len(path) else np.zeros(2)
    if button in DIRECTIONS and _is_jump(path):
        return "jump"
    if button in DIRECTIONS and (path @ DIRECTIONS[button]).max(initial=0) >= MOVED:
        return button.lower()  # also where something else moves besides, such as a player that never stops
    if button not in DIRECTIONS and change.stays < FLIES and np.abs(reach).max() >= MOVED:
        return "shoot"
    if np.abs(reach).max() < MOVED:
        return IN_PLACE[button]
    if _is_jump(path):
        return "jump"
    return _direction(*reach)


def _effects(start: Start) -> dict[str, str]:
    idle = start.clips[NOTHING]
    held = {button: clip for button, clip in start.clips.items() if button != NOTHING}
    return {button: effect_of(button, change_of(clip, idle)) for button, clip in held.items()}


def _is_jump(path: np.ndarray) -> bool:
    """Whether something went up and came down again, and did not go further to the side."""
    top = int(path[:, 1].argmin())
    height = -path[top, 1]
    down_again = path[top:, 1].max() + height
    return height >= MOVED and down_again >= FALLS_BACK * height and np.abs(path[top]).argmax() == 1


def _direction(right: float, down: float) -> str:
    if abs(right) >= abs(down):
        return "right" if right > 0 else "left"
    return "down" if down > 0 else "up"


def _most_common(words: list[str]) -> str:
    """The effect that was seen most often, if it was seen at all; in doubt the one seen first."""
    seen = Counter(word for word in words if word != NONE)
    return seen.most_common(1)[0][0] if seen else NONE


def _motion(effects: dict[str, str]) -> str:
    words = set(effects.values())
    sideways, upright = bool(words & {"left", "right"}), bool(words & {"up", "down", "jump"})
    return {(True, True): "free", (True, False): "h", (False, True): "v"}.get((sideways, upright), "fixed")


def _camera(recording: Recording) -> str:
    """Where the camera goes while nothing is held: what changes goes the other way, most of the time."""
    words: Counter[str] = Counter()
    for start in recording.starts[1:]:
        idle = start.clips[NOTHING]
        for before, after in zip(idle[:-BETWEEN:BETWEEN], idle[BETWEEN::BETWEEN], strict=True):
            shift = drift(before, after)
            words[_direction(-shift.right, -shift.down) if shift.explains > SCROLLS else NONE] += 1
    word, count = words.most_common(1)[0]
    return word if count > MOSTLY * words.total() else NONE
