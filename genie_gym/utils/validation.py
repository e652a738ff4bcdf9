"""Validation of options, and of names that come from files."""

import math
import os
import re
import types
from collections.abc import Sequence
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from genie_gym.errors import ConfigError

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

__all__ = [
    "MOST_GAMES",
    "at_least",
    "at_most",
    "check_action_map",
    "check_autoreset_mode",
    "check_render_mode",
    "check_reset_seed",
    "check_seed",
    "check_types",
    "check_unit_interval",
    "is_name",
    "more_than_zero",
    "short",
    "typed",
]

NAME = re.compile(r"\w[\w.-]*")
LAST_SEED = 2**32 - 1  # the largest seed of NumPy's global generator, which Stable-Baselines3 seeds
LONGEST_NAME, LONGEST_PATH = 255, 4096  # bytes: what file systems take
MOST_GAMES = 1024  # emulators at once, each in a process of its own
LONGEST_STEM = 200  # letters of a name that endings are added to
LARGEST = 2**63 - 1  # what an int64 holds

# More than any machine has use for: asked for by mistake, and refused before memory or processes are taken.
LIMITS = {
    "clips": 100_000,
    "context": 1000,
    "horizon": 1000,
    "num_envs": 16_384,
    "num_rollouts": 16_384,
    "rounds": 10_000,
    "threads": 1024,
    "workers": max(64, 4 * (os.cpu_count() or 1)),
}

NAMES = {bool: "True or False", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def at_least(least: int, **values: float | None) -> None:
    """Raise ConfigError if a value is no number, less than `least`, or above what `LIMITS` has for its name.

    None stands for a default and is allowed.

    >>> at_least(1, steps=5, threads=None)
    """
    for name, value in values.items():
        if value is None:
            continue
        if not _is_number(value) or not value >= least:  # false for NaN
            raise ConfigError(f"{name.replace('_', ' ')} must be {least} or more, got {value!r}")
        at_most(LIMITS.get(name, LARGEST), **{name: value})


def at_most(most: int, **values: float | None) -> None:
    """Raise ConfigError if one of the values is more; None stands for a default and is allowed.

    >>> at_most(1000, max_steps=8)
    """
    for name, value in values.items():
        if value is not None and value > most:
            raise ConfigError(f"{name.replace('_', ' ')} must be {most} or less, got {value}")


def more_than_zero(**values: float | None) -> None:
    """Raise ConfigError if one of the values is no number, 0, negative or infinite; None stands for a default.

    >>> more_than_zero(minutes=0.5, zoom=None)
    """
    for name, value in values.items():
        if value is not None and not (_is_number(value) and 0 < value < math.inf):
            raise ConfigError(f"{name.replace('_', ' ')} must be more than 0, got {value!r}")


def check_unit_interval(**values: float) -> None:
    """Raise ConfigError if one of the values is no number in [0, 1]."""
    for name, value in values.items():
        if not _is_number(value) or not 0 <= value <= 1:
            raise ConfigError(f"{name.replace('_', ' ')} must lie in [0, 1]; got {value!r}")


def check_action_map(action_map: Any, known: Sequence[str] | None = None) -> None:
    """Raise ConfigError if an action map is no list of a model's actions, one for each of an environment's.

    Args:
        action_map: The list, or None.
        known: Names of the model's actions, where they are known.
    """
    if action_map is None:
        return
    whole = isinstance(action_map, tuple | list) and all(type(action) is int and action >= 0 for action in action_map)
    if not whole or not action_map:
        raise ConfigError(
            "action_map must list the model's action for each of the environment's, such as (0, 3, 1, 2); "
            f"got {short(action_map)}"
        )
    if known is not None and max(action_map) >= len(known):
        raise ConfigError(
            f"the model has the actions 0 to {len(known) - 1} ({', '.join(known)}); action_map holds {max(action_map)}"
        )


def check_seed(seed: int) -> None:
    """Raise ConfigError if a seed is not a whole number from 0 to 2^32 - 1."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed <= LAST_SEED:
        raise ConfigError(f"seed must be from 0 to {LAST_SEED}, got {seed!r}")


def check_reset_seed(seed: Any) -> int | None:
    """Return the seed of a reset as Python's integer: 0 or more, of any size, or None to go on with the stream.

    Raises:
        ConfigError: It is no whole number, or negative.
    """
    seed = typed("seed", seed, int | None)
    if seed is not None and seed < 0:
        raise ConfigError(f"seed must be 0 or more; got {seed}")
    return seed


def check_types(config: Any) -> None:
    """Raise ConfigError if a field of a configuration has another type than it declares.

    NumPy's numbers are replaced by Python's, which JSON can hold, and paths given as text by paths.
    """
    hints = get_type_hints(type(config))
    for field in fields(config):
        value = getattr(config, field.name)
        checked = typed(field.name, value, hints[field.name])
        if checked is not value:
            object.__setattr__(config, field.name, checked)  # configurations are frozen


def typed(name: str, value: Any, hint: Any) -> Any:
    """Return the value of an option as one of the types that it may have.

    Args:
        name: Name of the option.
        value: Its value. Numbers of NumPy are numbers, and booleans are not; numbers are finite.
        hint: A type, or a union of types. Kinds of types that are not known here are not checked.

    Raises:
        ConfigError: The value has another type.

    >>> typed("steps", np.int64(3), int | None)
    3
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if not all(kind is type(None) or kind in NAMES for kind in kinds):
        return value
    for kind in sorted(kinds, key=lambda kind: not isinstance(value, kind)):  # of str | Path, the one that it is
        fits, converted = _as_kind(value, kind)
        if fits:
            return _taken_by_file_systems(name, converted) if isinstance(converted, str | Path) else converted
    expected = " or ".join(NAMES.get(kind, "None") for kind in kinds)
    raise ConfigError(f"{name.replace('_', ' ')} must be {expected}; got {short(value)}")


def _as_kind(value: Any, kind: type) -> tuple[bool, Any]:
    """Return whether a value is of a kind, and the value as that kind."""
    if kind is bool:
        return isinstance(value, bool | np.bool_), bool(value) if isinstance(value, np.bool_) else value
    if kind is int and isinstance(value, Integral) and not isinstance(value, bool):
        return True, int(value)
    if kind is float and _is_finite(value):
        return True, value if type(value) is int else float(value)
    if kind is str and isinstance(value, str | os.PathLike):
        return True, os.fspath(value)
    if kind is Path and isinstance(value, str | os.PathLike):
        return True, Path(value)
    return kind is type(None) and value is None, value


def _taken_by_file_systems(name: str, value: str | Path) -> str | Path:
    """Return a text that may be a path, once it is clear that it can be one."""
    try:
        names = [os.fsencode(part) for part in str(value).split("/")]
    except UnicodeEncodeError:  # half of a character of UTF-16
        names = [b"\0"]
    if any(b"\0" in part for part in names):
        raise ConfigError(f"{name} holds a character that no name may have: {short(value)}")
    if len(b"/".join(names)) > LONGEST_PATH or max(map(len, names)) > LONGEST_NAME:
        raise ConfigError(
            f"{name}: File name too long, names may have {LONGEST_NAME} bytes and paths {LONGEST_PATH}: {short(value)}"
        )
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return _is_number(value) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def short(value: Any) -> str:
    """Return a value for a message: one line, not too long."""
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def check_autoreset_mode(mode: "str | AutoresetMode") -> "AutoresetMode":
    """Return Gymnasium's autoreset mode of that name: "NextStep", "SameStep" or "Disabled".

    Raises:
        ConfigError: There is no such mode.
    """
    from gymnasium.vector import AutoresetMode  # configurations need not wait for it

    known = {one.value: one for one in AutoresetMode}
    if isinstance(mode, str) and mode in known:
        return known[mode]
    if not isinstance(mode, AutoresetMode):
        raise ConfigError(f"autoreset_mode must be one of {list(known)}; got {short(mode)}")
    return mode


def check_render_mode(mode: str | None) -> None:
    """Raise ConfigError if a render mode is neither None nor "rgb_array"."""
    if mode is not None and not (isinstance(mode, str) and mode == "rgb_array"):
        raise ConfigError(f"render_mode must be None or 'rgb_array'; got {short(mode)}")


def is_name(text: object) -> bool:
    """Return whether a value from a file is a name that may become part of a path.

    >>> is_name("Airstriker-Genesis"), is_name(".."), is_name("a/b"), is_name(7)
    (True, False, False, False)
    """
    return isinstance(text, str) and len(text) <= LONGEST_STEM and bool(NAME.fullmatch(text))
