"""Atari games through ale-py, which brings their ROMs; ale_games.txt lists them with their minimal actions."""

import re
from functools import cache
from importlib import resources

from genie_gym.games.own_env.source import EnvSource
from genie_gym.games.spec import Action, GameSpec

__all__ = ["SYSTEM", "ale_spec", "ale_titles"]

SYSTEM = "Ale"
# The joystick's actions, by their numbers in ale-py.
JOYSTICK = (
    *("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT"),
    *("UPFIRE", "RIGHTFIRE", "LEFTFIRE", "DOWNFIRE", "UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE"),
)
KEYS = {"UP": "up", "DOWN": "down", "RIGHT": "right", "LEFT": "left", "FIRE": "z"}


def ale_titles() -> list[str]:
    """Return the titles of all games of ale-py, as in its ids: "Breakout" of "ALE/Breakout-v5"."""
    return list(_minimal_actions())


def ale_spec(title: str) -> GameSpec:
    """Return the specification of a game of ale-py, with its minimal actions and without sticky ones.

    >>> ale_spec("Breakout").meanings
    ['NOOP', 'FIRE', 'RIGHT', 'LEFT']
    """
    meanings = _minimal_actions()[title]
    kwargs = {"frameskip": 1, "full_action_space": True, "repeat_action_probability": 0.0}
    table = [JOYSTICK.index(meaning) for meaning in meanings]
    source = EnvSource(f"ALE/{title}-v5", kwargs, "observation", table)
    actions = tuple(Action(meaning, keys=_keys(meaning)) for meaning in meanings)
    return GameSpec(f"{title}-{SYSTEM}", title, SYSTEM, actions, env=source)


@cache
def _minimal_actions() -> dict[str, list[str]]:
    lines = resources.files("genie_gym.games").joinpath("ale_games.txt").read_text().splitlines()
    return {title: actions for title, *actions in map(str.split, lines)}


def _keys(meaning: str) -> tuple[str, ...]:
    return tuple(KEYS[part] for part in re.findall("UP|DOWN|RIGHT|LEFT|FIRE", meaning))
