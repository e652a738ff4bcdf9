"""Reading the action file of your own images or video: CSV or JSON lines, one line per frame.

    CSV             one column of actions, or several columns named by the first line: `action`, optionally `reward`
    JSON lines      on each line an action, or an object with `action` and optionally `reward`

An action is its index, from 0, or its name. Blank lines are allowed only at the end: elsewhere it would be unclear to
which frame an action belongs.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data.header import MAX_ACTIONS
from genie_gym.errors import DataError, printable
from genie_gym.utils.jsonable import parse_json
from genie_gym.utils.paths import file_size

__all__ = ["ActionFile", "read_actions"]


HEADINGS = ("actions", "button", "buttons", "key", "keys", "input", "inputs", "label", "command")
INDEX = re.compile(r"\s*[+-]?\d{1,18}\s*")
LONGEST_NAME = 100
LARGEST_REWARD = float(np.finfo(np.float32).max)
MAX_FILE_BYTES = 2**25  # two million lines of the usual length: 37 hours of 15 frames a second


@dataclass(frozen=True)
class ActionFile:
    """The content of an action file.

    Attributes:
        actions: int64 (lines,), indices into `names`.
        rewards: float32 (lines,), zeros if the file has none.
        names: Names of the actions.
    """

    actions: np.ndarray
    rewards: np.ndarray
    names: list[str]


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
    path = Path(path)
    readers = {".csv": _csv_rows, ".txt": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path} is no action file: its name should end in one of {', '.join(readers)}")
    try:
        if file_size(path) > MAX_FILE_BYTES:
            raise DataError(f"the action file {path} has more than {MAX_FILE_BYTES:,} bytes; convert in parts")
        rows = _without_blank_end(path, readers[path.suffix.lower()](path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the action file {path}: {error}") from None
    if not rows:
        raise DataError(f"the action file {path} is empty; it needs one action for each frame")
    _check_heading(path, rows)
    if names is None:
        names = _guess_names([_checked(row["action"], f"{path}, line {line}") for line, row in rows])
    names = list(names)
    actions = [_index(row["action"], names, f"{path}, line {line}") for line, row in rows]
    rewards = [_number(row.get("reward", 0), f"{path}, line {line}") for line, row in rows]
    if len(names) > MAX_ACTIONS or any(not name.isprintable() or len(name) > LONGEST_NAME for name in names):
        raise DataError(
            f"{path} has names of actions that are not printable, longer than {LONGEST_NAME} letters, or more than "
            f"{MAX_ACTIONS}"
        )
    return ActionFile(np.array(actions, np.int64), np.array(rewards, np.float32), names)


def _check_heading(path: Path, rows: list[tuple[int, dict[str, Any]]]) -> None:
    """Raise DataError if the first line is a heading: the only one that is no number, or a usual name of a column."""
    first, *others = (row["action"] for _, row in rows)
    alone = _as_index(first) is None and others and None not in map(_as_index, others)
    if alone or (str(first).lower() in HEADINGS and first not in others):
        raise DataError(
            f"{path}, line {rows[0][0]} is {_shown(first)} and no other is like it; a line that names the column must "
            "say action"
        )


Rows = Iterator[tuple[int, dict[str, Any]]]  # line number and columns of that line; no columns if it is blank


def _without_blank_end(path: Path, rows: Rows) -> list[tuple[int, dict[str, Any]]]:
    found = list(rows)
    while found and not found[-1][1]:
        found.pop()
    for line, row in found:
        if not row:
            raise DataError(f"{path}, line {line} is blank, and others follow; each frame needs its action")
    return found


def _check_separator(path: Path, lines: list[list[str]]) -> None:
    """Raise DataError if columns are separated by something else than commas."""
    filled = [cells for cells in lines if any(cells)]
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(filled) > 1 and all(len(cells) == 1 and separator in cells[0] for cells in filled):
            raise DataError(f"the columns of {path} are separated by {name}; separate them by commas")


def _csv_rows(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
        _check_separator(path, [cells for _, cells in lines])
        columns = ["action"]
        for number, cells in lines:
            if not any(cells):
                yield number, {}
                continue
            if number == 1 and "action" in [cell.lower() for cell in cells]:
                columns = [cell.lower() for cell in cells]
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{path}, line {number} has {len(cells)} columns, expected {len(columns)} "
                    f"({', '.join(columns)}); with several columns the first line must name them"
                )
            yield number, dict(zip(columns, cells, strict=True))


def _json_rows(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                yield line, {}
                continue
            try:
                value = parse_json(text)
            except ValueError as error:
                raise DataError(f"{path}, line {line} is not JSON: {error}") from None
            row = value if isinstance(value, dict) else {"action": value}
            if "action" not in row:
                raise DataError(
                    f"{path}, line {line} has no `action`, only {printable(', '.join(row))[:100] or 'nothing'}"
                )
            yield line, row


def _checked(value: Any, where: str) -> Any:
    """Return an action from which names are guessed; raise DataError if it is none."""
    index = _as_index(value)
    if index is not None and not 0 <= index < MAX_ACTIONS:
        raise DataError(f"{where}: action {index} is not from 0 to {MAX_ACTIONS - 1}")
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{where} has no action")
    if index is None and not isinstance(value, str):
        raise DataError(f"{where}: the action {_shown(value)} is neither an index nor a name")
    return value


def _guess_names(values: list[Any]) -> list[str]:
    indices = [_as_index(value) for value in values]
    if any(index is None for index in indices):
        return sorted({str(value) for value in values})
    return [f"ACTION_{index}" for index in range(max(index for index in indices if index is not None) + 1)]


def _index(value: Any, names: list[str], where: str) -> int:
    if isinstance(value, str) and value in names:
        return names.index(value)
    index = _as_index(value)
    if index is None:
        raise DataError(
            f"{where}: unknown action {_shown(value)}; the actions are {_listed(names)} (name others when you "
            "start a dataset, with --action-names)"
        )
    if not 0 <= index < len(names):
        raise DataError(f"{where}: action {index} is not from 0 to {len(names) - 1} ({_listed(names)})")
    return index


def _as_index(value: Any) -> int | None:
    """Return an action's index, None if it is no whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and INDEX.fullmatch(value) else None


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
    text = repr(value)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def _listed(names: list[str]) -> str:
    text = ", ".join(names)
    return printable(text if len(text) <= 500 else f"{text[:500]}...")
