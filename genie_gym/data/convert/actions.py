"""The actions of your own images or videos: CSV or JSON lines, one line per frame.

    CSV             one column of actions, or several columns named by the first line
    JSON lines      on each line an action, or an object with `action`

An action is its index, from 0, or its name, or which buttons are pressed: a list of 0 and 1, or a column or key of 0
and 1 for each button (left, right, fire). Columns or keys beside it are `reward`, and `done`, `terminated` or
`truncated`, which are 1 in the last line of an episode. Others are left out. Blank lines are allowed only at the end:
elsewhere it would be unclear to which frame an action belongs.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data.convert.columns import HEADINGS, Buttons, Row, read_rows
from genie_gym.data.header import MAX_ACTIONS
from genie_gym.errors import DataError, printable

__all__ = ["ActionFile", "guess_names", "read_actions", "to_indices"]

INDEX = re.compile(r"\s*[+-]?\d{1,18}\s*")
LARGEST_INDEX = 1e15  # above, floats do not hold all whole numbers
LONGEST_NAME = 100
LARGEST_REWARD = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ActionFile:
    """The content of an action file.

    Attributes:
        actions: int64 (lines,), indices into `names`.
        rewards: float32 (lines,), zeros if the file has none.
        names: Names of the actions.
        last: bool (lines,), the last line of each episode that the file says ends.
        terminated: bool (lines,), where the game was over rather than stopped.
    """

    actions: np.ndarray
    rewards: np.ndarray
    names: list[str]
    last: np.ndarray
    terminated: np.ndarray


def read_actions(path: str | Path, names: Sequence[str] | None = None) -> ActionFile:
    """Read a `.csv`, `.txt`, `.jsonl` or `.ndjson` file.

    Args:
        path: The file.
        names: Names of the actions by index. By default names found in the file are numbered in alphabetical order,
            and indices are named ACTION_0, ACTION_1, ...

    Raises:
        DataError: The file is missing, empty or of an unknown type, has a blank line before others, or a line without
            one of the actions.
    """
    rows = read_rows(Path(path))
    return to_indices(rows, guess_names(rows) if names is None else names)


def guess_names(rows: Sequence[Row]) -> list[str]:
    """Return names of the actions that occur in one or several files.

    Raises:
        DataError: A line has no action, or its index is negative or too large.
    """
    values = [_checked(row.action, row.where) for row in rows]
    indices = [_as_index(value) for value in values]
    if any(index is None for index in indices):
        return sorted({str(value) for value in values})
    return [f"ACTION_{index}" for index in range(max(index for index in indices if index is not None) + 1)]


def to_indices(rows: Sequence[Row], names: Sequence[str]) -> ActionFile:
    """Return the rows of a file as arrays.

    Raises:
        DataError: A line has an action without a name, or a reward that is no number, or the names are no names.
    """
    _check_heading(rows)
    names = list(names)
    pressed = {_pressed(name.split("+")): index for index, name in enumerate(names)}
    actions = [_index(row, names, pressed) for row in rows]
    rewards = [_number(row.columns.get("reward", 0), row.where) for row in rows]
    if len(names) > MAX_ACTIONS or any(not name.isprintable() or len(name) > LONGEST_NAME for name in names):
        raise DataError(
            f"{rows[0].where.rpartition(', line')[0]} has names of actions that are not printable, longer than "
            f"{LONGEST_NAME} letters, or more than {MAX_ACTIONS}"
        )
    terminated = np.array([row.flag("done") or row.flag("terminated") for row in rows])
    truncated = np.array([row.flag("truncated") for row in rows])
    last = terminated | truncated
    return ActionFile(np.array(actions, np.int64), np.array(rewards, np.float32), names, last, terminated)


def _check_heading(rows: Sequence[Row]) -> None:
    """Raise DataError if the first line is a heading: the only one that is no number, or a usual name of a column."""
    first, *others = (row.action for row in rows)
    alone = isinstance(first, str) and _as_index(first) is None and others and None not in map(_as_index, others)
    if alone or (str(first).lower() in HEADINGS and first not in others):
        raise DataError(
            f"{rows[0].where} is {_shown(first)} and no other is like it; a line that names the column must say action"
        )


def _checked(value: Any, where: str) -> Any:
    """Return an action from which names are guessed; raise DataError if it is none."""
    index = _as_index(value)
    if index is not None and not 0 <= index < MAX_ACTIONS:
        raise DataError(f"{where}: action {index} is not from 0 to {MAX_ACTIONS - 1}")
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{where} has no action")
    if index is None and not isinstance(value, str | Buttons):
        raise DataError(f"{where}: the action {_shown(value)} is neither an index nor a name")
    return value


def _index(row: Row, names: list[str], pressed: dict[frozenset[str], int]) -> int:
    value, where = row.action, row.where
    if isinstance(value, str) and value in names:
        return names.index(value)
    index = pressed.get(_pressed(value.pressed)) if isinstance(value, Buttons) else _as_index(value)
    if index is None:
        raise DataError(
            f"{where}: unknown action {_shown(value)}; the actions are {_listed(names)} (name others when you "
            "start a dataset, with --action-names)"
        )
    if not 0 <= index < len(names):
        raise DataError(f"{where}: action {index} is not from 0 to {len(names) - 1} ({_listed(names)})")
    return index


def _pressed(names: Iterable[str]) -> frozenset[str]:
    """Return a combination of buttons without order or case; none at all is called NOOP.

    >>> _pressed(["RIGHT", "a"]) == _pressed(["A", "right"]), _pressed(["NOOP"])
    (True, frozenset())
    """
    return frozenset(name.strip().lower() for name in names) - {"noop", ""}


def _as_index(value: Any) -> int | None:
    """Return an action's index, None if it is no whole number. NumPy writes whole numbers as 1.0 or 1.000e+00."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        if INDEX.fullmatch(value):
            return int(value)
        try:
            value = float(value) if re.match(r"\s*[+-]?\d", value) and "_" not in value else None
        except ValueError:
            return None
    return int(value) if isinstance(value, float) and abs(value) < LARGEST_INDEX and value.is_integer() else None


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST_REWARD:  # false for NaN
        raise DataError(f"{where}: the reward {_shown(value)} is no number that float32 holds")
    return number


def _shown(value: Any) -> str:
    """Return a value from the file as it may be shown: `repr` escapes what steers a terminal."""
    text = repr(str(value) if isinstance(value, Buttons) else value)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def _listed(names: list[str]) -> str:
    text = ", ".join(names)
    return printable(text if len(text) <= 500 else f"{text[:500]}...")
