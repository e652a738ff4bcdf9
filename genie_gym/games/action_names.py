"""Matching the actions of one environment with those of another, by their names."""

import re
from collections.abc import Sequence

from genie_gym.errors import GameError

__all__ = ["buttons_of", "match_actions"]

PARTS = re.compile(r"UP|DOWN|RIGHT|LEFT|FIRE|[^+\s_,]+")
SAME = {"FIRE": "PRIMARY", "A": "PRIMARY", "B": "SECONDARY"}  # names of other packages for the console's buttons


def match_actions(yours: Sequence[str], known: Sequence[str]) -> tuple[int, ...]:
    """Return the action map from your actions to those of a world or a game, by their names.

    An action that is not among them becomes the one that shares most of its buttons and presses none that it does not,
    in the end the one that does nothing.

    Args:
        yours: Names of your actions, such as `env.unwrapped.get_action_meanings()` of an Atari game, or
            ["NOOP", "right A"].
        known: Names of the actions to choose from, such as `get_action_meanings()` of a dream.

    Returns:
        For each of yours the index of the one to take: what the option `action_map` takes.

    Raises:
        GameError: Nothing is like one of yours: there is no action that does nothing.

    >>> match_actions(["NOOP", "FIRE", "UPRIGHTFIRE", "DOWN"], ["NOOP", "RIGHT", "PRIMARY", "RIGHT+PRIMARY"])
    (0, 2, 3, 0)
    """
    choices = [buttons_of(name) for name in known]
    return tuple(_closest(name, choices, known) for name in yours)


def _closest(name: str, choices: list[frozenset[str]], known: Sequence[str]) -> int:
    wanted = buttons_of(name)
    fitting = [index for index, buttons in enumerate(choices) if buttons <= wanted]
    if not fitting:
        raise GameError(f"No action of {', '.join(known)} is like {name!r}. Write the action map by hand.")
    return max(fitting, key=lambda index: (len(choices[index]), known[index].upper() == name.upper(), -index))


def buttons_of(name: str) -> frozenset[str]:
    """Return the buttons that a name says: "UPRIGHTFIRE", "UP+RIGHT+PRIMARY" and "up right A" are the same."""
    parts = PARTS.findall(name.upper())
    return frozenset(SAME.get(part, part) for part in parts if part != "NOOP")
