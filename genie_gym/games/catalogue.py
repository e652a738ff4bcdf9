"""The list of all games, and looking up a game by name; no emulator is imported."""

import difflib
from collections import defaultdict
from functools import cache
from importlib import resources

from genie_gym.errors import GameError
from genie_gym.games import ale
from genie_gym.games.spec import Action, GameSpec
from genie_gym.games.toy import TOY

__all__ = ["console_buttons", "find", "names", "short_titles"]

# The reduced actions of a console game: no-op, the four directions, and the console's main button, which in most games
# jumps, shoots or confirms (RetroAct's ACTION_PRIMARY). START and SELECT, which open menus, are left out.
_PRIMARY = {
    "32x": "B",
    "Arcade": "B",
    "Atari2600": "BUTTON",
    "GameBoy": "A",
    "Genesis": "C",
    "N64": "A",
    "Nes": "A",
    "Saturn": "B",
    "Sms": "A",
    "Snes": "B",
}

# The second button, as RetroAct presses it (ACTION_SECONDARY); an Atari has one button, which is both.
_SECONDARY = {"32x": "Y", "Atari2600": "BUTTON", "GameBoy": "B", "Genesis": "B", "Nes": "B", "Sms": "B", "Snes": "Y"}

# Games whose reduced actions differ from those of their console: main button, and directions that have an effect.
_OVERRIDES = {"Airstriker-Genesis": ("B", ("RIGHT", "LEFT"))}

_DIRECTIONS = ("RIGHT", "LEFT", "UP", "DOWN")
_MOVES = (Action("NOOP"), *(Action(side, (side,), (side.lower(),)) for side in _DIRECTIONS))
_FIRE = Action("PRIMARY", ("D",), ("z",))

# In platformers of the NES one jumps to the side with A, and runs or attacks with B: as in SIMPLE_MOVEMENT of
# gym-super-mario-bros.
_RUN_AND_JUMP = (
    *_MOVES,
    Action("PRIMARY", ("A",), ("z",)),
    Action("RIGHT+PRIMARY", ("RIGHT", "A"), ("right", "z")),
    Action("LEFT+PRIMARY", ("LEFT", "A"), ("left", "z")),
    Action("SECONDARY", ("B",), ("x",)),
    Action("RIGHT+SECONDARY", ("RIGHT", "B"), ("right", "x")),
    Action("RIGHT+PRIMARY+SECONDARY", ("RIGHT", "A", "B"), ("right", "z", "x")),
)
_PLATFORM = (
    *_MOVES,  # UP jumps, so that a jump to the side needs two keys at once
    Action("RIGHT+UP", ("RIGHT", "UP"), ("right", "up")),
    Action("LEFT+UP", ("LEFT", "UP"), ("left", "up")),
)
_PROCGEN = {
    "BigFish": _MOVES,
    "BossFight": (*_MOVES, _FIRE),
    "CaveFlyer": (*_PLATFORM, _FIRE),
    "Chaser": _MOVES,
    "Climber": _PLATFORM,
    "CoinRun": _PLATFORM,
    "Dodgeball": (*_MOVES, _FIRE),
    "FruitBot": (*_MOVES[:3], _FIRE),
    "Heist": _MOVES,
    "Jumper": _PLATFORM,
    "Leaper": _MOVES,
    "Maze": _MOVES,
    "Miner": _MOVES,
    "Ninja": (*_PLATFORM, _FIRE),
    "Plunder": (*_MOVES[:3], _FIRE),
    "StarPilot": (*_MOVES, _FIRE),
}


def names() -> list[str]:
    """Return the sorted canonical names of all games: stable-retro's, ale-py's, Procgen's and the toy game."""
    return list(_names())


@cache
def _names() -> tuple[str, ...]:
    listed = resources.files("genie_gym.games").joinpath("retro_games.txt").read_text().split()
    others = [*(f"{title}-{ale.SYSTEM}" for title in ale.ale_titles()), *(f"{title}-Procgen" for title in _PROCGEN)]
    return tuple(sorted([*listed, *others, TOY.name]))


@cache
def _nes_platformers() -> frozenset[str]:
    return frozenset(resources.files("genie_gym.games").joinpath("nes_platformers.txt").read_text().split())


@cache
def short_titles() -> dict[str, str]:
    """Return canonical names by title, for titles that are enough to tell which game is meant (see `find`)."""
    return {_split(found[0])[0]: found[0] for found in _by_title().values() if len(found) == 1}


def find(name: str) -> GameSpec:
    """Return the specification of a game.

    Args:
        name: "Airstriker-Genesis", "Airstriker-Genesis-v0", or "Airstriker" if the title exists on one system only.
            Of several it means the one whose world ships with this package, if one does; else a console's game comes
            before ale-py's. Case is ignored.

    Raises:
        GameError: The game is unknown, or the title exists on several systems; the message lists close matches.

    >>> find("airstriker").name
    'Airstriker-Genesis'
    """
    wanted = name.removeprefix("GenieRedux/").removesuffix("-v0").lower()
    if exact := _by_lower().get(wanted):
        return _spec(exact)
    found = _by_title().get(wanted, [])
    if len(found) > 1:
        raise GameError(f"{name!r} exists on several systems. Say which: {', '.join(found)}.")
    if not found:
        raise GameError(_unknown(name, wanted))
    return _spec(found[0])


def console_buttons(system: str) -> tuple[str, str | None] | None:
    """Return the buttons that RetroAct calls primary and secondary on a console; None of what is no console.

    >>> console_buttons("Nes")
    ('A', 'B')
    """
    return (_PRIMARY[system], _SECONDARY.get(system)) if system in _PRIMARY else None


@cache
def _by_lower() -> dict[str, str]:
    return {name.lower(): name for name in _names()}


@cache
def _by_title() -> dict[str, list[str]]:
    titles = defaultdict(list)
    for name in sorted(_names(), key=lambda name: _split(name)[1] == ale.SYSTEM):
        title, system = _split(name)
        if system != ale.SYSTEM or title.lower() not in titles:  # else the title alone means the console's game
            titles[title.lower()].append(name)
    # Or the one whose world ships, so that its title is enough to step that.
    return dict(titles) | {_split(name)[0].lower(): [name] for name in _names() if name in _shipped()}


@cache
def _shipped() -> frozenset[str]:
    """Names of the games whose weights are in the package."""
    return frozenset(folder.name for folder in resources.files("genie_gym").joinpath("weights").iterdir())


def _split(name: str) -> tuple[str, str]:
    title, _, system = name.rpartition("-")
    return title, system


def _unknown(name: str, wanted: str) -> str:
    if wanted.endswith("-own"):
        return (
            f"{name!r} is a game of your own, which has no emulator here; `train`, `evaluate`, `inspect` and `play` "
            "take it if it has a dataset or a trained model. To start it, name its environment: `--env` with "
            "module:function or an id of Gymnasium."
        )
    close = difflib.get_close_matches(wanted, [*_by_lower(), *_by_title()], n=3)
    meant = dict.fromkeys(guess for key in close for guess in _by_title().get(key) or [_by_lower()[key]])
    hint = f"Did you mean {' or '.join(list(meant)[:3])}? " if meant else ""
    return f"Unknown game {name!r}. {hint}`genie-gym games` lists all of them; `--env` takes your own."


def _spec(name: str) -> GameSpec:
    title, system = _split(name)
    if name == TOY.name:
        return TOY
    if system == ale.SYSTEM:
        return ale.ale_spec(title)
    if system == "Procgen":
        return GameSpec(name, title, system, _PROCGEN[title], frame_skip=1, noop_max=0)
    if name in _nes_platformers():
        return GameSpec(name, title, system, _RUN_AND_JUMP)
    button, directions = _OVERRIDES.get(name, (_PRIMARY[system], _DIRECTIONS))
    moves = (action for action in _MOVES if action.meaning == "NOOP" or action.meaning in directions)
    return GameSpec(name, title, system, (*moves, Action("PRIMARY", (button,), ("z",))))
