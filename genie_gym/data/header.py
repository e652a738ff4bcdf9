"""The header of a dataset: what `recording.json` must hold, checked when it is written and when it is read.

Everything in it may come from a stranger. Names in it become parts of paths, commands and tables.
"""

import json
from typing import Any

from genie_gym.errors import DataError, printable
from genie_gym.utils.validation import is_name

__all__ = ["MAX_ACTIONS", "check_header"]

MAX_ACTIONS = 1000  # more are most likely a mistake
LONGEST_TEXT = 500
LONGEST_ENV, LONGEST_KWARGS = 200, 10_000  # letters of the name of an environment, and of its arguments as JSON


def check_header(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header with defaults for what may be missing.

    Raises:
        DataError: An entry is missing or has a wrong type or value; the message names it, but not the file.
    """
    missing = [name for name in ("game", "actions", "runs") if name not in header]
    if missing:
        raise DataError(f"lacks {', '.join(missing)}")
    actions = header["actions"]
    _require(isinstance(actions, list) and len(actions) <= MAX_ACTIONS, "actions", actions, "a list of names")
    for name in actions:
        _require(_is_text(name) and name, "actions", name, "a name of printable characters")
    frame_skip = header.get("frame_skip", 4)
    _require(_is_count(frame_skip, 1), "frame_skip", frame_skip, "a whole number of 1 or more")
    _require(isinstance(header["runs"], list), "runs", header["runs"], "a list")
    for run in header["runs"]:
        _check_run(run)
    return {**header, "frame_skip": frame_skip, "game": _checked_game(header["game"], actions)}


def _checked_game(game: Any, actions: list[str]) -> dict[str, Any]:
    """Return the description of a game, in which each of the actions is described."""
    _require(isinstance(game, dict), "game", game, "an object with a name")
    game = {"actions": [{"meaning": name, "buttons": [], "keys": []} for name in actions], **game}
    if "name" in game:
        _require(is_name(game["name"]), "the game's name", game["name"], "letters, digits, '_', '.' and '-'")
    for key in ("title", "system"):
        _require(_is_text(game.get(key, "")), f"the game's {key}", game.get(key), "a text of printable characters")
    env = game.get("env")  # of an own game; whoever starts it checks what it names
    _require(env is None or _is_env(env), "the game's env", env, "an object with env, kwargs, picture and actions")
    starts = game.get("savestates", [])
    named = isinstance(starts, list) and all(_is_text(one) and one for one in starts)
    _require(named, "the game's savestates", starts, "a list of names")
    fps, noop_max = game.get("fps", 15.0), game.get("noop_max", 0)
    _require(_is_number(fps) and fps > 0, "the game's fps", fps, "a number above 0")
    _require(_is_count(noop_max, 0), "the game's noop_max", noop_max, "a whole number of 0 or more")
    described = game["actions"]
    _require(isinstance(described, list) and all(map(_is_action, described)), "the game's actions", described, "a list")
    if [action["meaning"] for action in described] != actions:
        raise DataError("has names in `actions` that are not its game's; they must be those of its game's own actions")
    return game


def _check_run(run: Any) -> None:
    _require(isinstance(run, dict), "runs", run, "a list of objects")
    if "box" in run:  # the part that was kept of a video of that many pixels
        width, height = _counts("pixels", run.get("pixels"), 2)
        left, top, wide, high = _counts("box", run["box"], 4)
        inside = 0 < wide <= width - left and 0 < high <= height - top
        _require(inside, "box of a run", run["box"], "a part of the video's pixels")


def _counts(what: str, value: Any, count: int) -> list[int]:
    fits = isinstance(value, list) and len(value) == count and all(_is_count(one, 0) for one in value)
    _require(fits, f"{what} of a run", value, f"{count} whole numbers")
    return value


def _require(fits: object, what: str, value: Any, expected: str) -> None:
    if not fits:
        raise DataError(f"has {what} {printable(repr(value)):.60}, expected {expected}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_TEXT


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _is_env(value: Any) -> bool:
    """Return whether a value has the form of `genie_gym.games.own_env.source.EnvSource`."""
    if not isinstance(value, dict) or not {"env"} <= value.keys() <= {"env", "kwargs", "picture", "actions"}:
        return False
    kwargs, picture, actions = value.get("kwargs", {}), value.get("picture"), value.get("actions")
    if not isinstance(kwargs, dict) or not all(map(_is_text, kwargs)) or len(json.dumps(kwargs)) > LONGEST_KWARGS:
        return False
    counted = actions is None or (isinstance(actions, list) and 0 < len(actions) <= MAX_ACTIONS)
    named = _is_text(value["env"]) and 0 < len(value["env"]) <= LONGEST_ENV
    return named and counted and (picture is None or _is_text(picture))


def _is_action(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_text(value.get("meaning")):
        return False
    lists = [value.get("buttons", []), value.get("keys", [])]
    return all(isinstance(names, list) and all(map(_is_text, names)) for names in lists)
