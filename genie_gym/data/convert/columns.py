"""The rows of an action file, CSV or JSON lines: which column is what, whatever program has written it."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genie_gym.errors import DataError, printable
from genie_gym.utils.jsonable import parse_json
from genie_gym.utils.paths import file_size

__all__ = ["READERS", "Buttons", "Row", "read_rows"]

HEADINGS = ("actions", "button", "buttons", "key", "keys", "input", "inputs", "label", "command")
ENDINGS = ("done", "terminated", "truncated")
MEANING = ("action", "reward", *ENDINGS)
COUNTERS = ("", "frame", "index", "step", "time", "timestamp", "t", "episode")  # columns that say nothing about buttons
MAX_BUTTONS = 64
MAX_FILE_BYTES = 2**25  # two million lines of the usual length: 37 hours of 15 frames a second


@dataclass(frozen=True)
class Buttons:
    """A combination of buttons.

    Attributes:
        pressed: Names of the buttons that are pressed, in the order of the columns.
    """

    pressed: tuple[str, ...]

    def __str__(self) -> str:
        return "+".join(self.pressed) or "NOOP"


@dataclass(frozen=True)
class Row:
    """One line of an action file.

    Attributes:
        where: File and line, for messages.
        action: As it stands in the file: an index, a name, or the buttons that are pressed.
        columns: The other columns.
    """

    where: str
    action: Any
    columns: dict[str, Any]

    def flag(self, name: str) -> bool:
        """Return whether a column says yes.

        Raises:
            DataError: It says neither yes nor no.
        """
        value = self.columns.get(name, False)
        answer = _yes_or_no(value)
        if answer is None:
            raise DataError(f"{self.where}: {name} is {printable(repr(value)):.100}, expected 0 or 1, or true or false")
        return answer


Line = tuple[int, dict[str, Any]]  # number of the line and its columns; no columns if it is blank


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file.

    Raises:
        DataError: The file is missing, empty or of an unknown type, or has a blank line before others.
    """
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path} is no action file: its name should end in one of {', '.join(READERS)}")
    try:
        if file_size(path) > MAX_FILE_BYTES:
            raise DataError(f"the action file {path} has more than {MAX_FILE_BYTES:,} bytes; convert in parts")
        lines = _without_blank_end(path, READERS[path.suffix.lower()](path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the action file {path}: {error}") from None
    if not lines:
        raise DataError(f"the action file {path} is empty; it needs one action for each frame")
    return [_row(f"{path}, line {number}", columns) for number, columns in lines]


def _row(where: str, columns: dict[str, Any]) -> Row:
    action = columns["action"] if "action" in columns else _buttons(where, columns)
    if isinstance(vector := _vector(action), list):
        action = _pressed(where, {f"BUTTON_{index}": value for index, value in enumerate(vector)})
    return Row(where, action, {name: value for name, value in columns.items() if name in MEANING})


def _buttons(where: str, columns: dict[str, Any]) -> Buttons:
    """Return the buttons of a row that has a column for each."""
    named = {name: value for name, value in columns.items() if name.lower() not in (*MEANING, *COUNTERS)}
    headings = [name for name in named if name.lower() in HEADINGS]
    if headings or len(named) < 2:
        raise DataError(
            f"{where} has no `action`, only {printable(', '.join(columns))[:100] or 'nothing'}; a column of actions "
            "must be named action, and columns of 0 and 1 after the buttons, of which there are two or more"
        )
    return _pressed(where, named)


def _pressed(where: str, values: dict[str, Any]) -> Buttons:
    if len(values) > MAX_BUTTONS:
        raise DataError(f"{where} has {len(values)} buttons, and at most {MAX_BUTTONS} are taken")
    answers = {name: _yes_or_no(value) for name, value in values.items()}
    for name, answer in answers.items():
        if answer is None:
            raise DataError(
                f"{where}: the button {printable(repr(name)):.100} is {printable(repr(values[name])):.100}, expected 0 "
                "or 1; a column of actions must be named action"
            )
    return Buttons(tuple(name for name, answer in answers.items() if answer))


def _vector(action: Any) -> list[Any] | None:
    """Return the entries of a MultiBinary action, as a list or as numpy prints it; None if it is another action."""
    if isinstance(action, str):
        parts = re.split(r"[\s,]+", action.strip("[]() "))
        return parts if len(parts) > 1 and None not in map(_yes_or_no, parts) else None
    return action if isinstance(action, list) and len(action) > 1 else None


def _yes_or_no(value: Any) -> bool | None:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "yes"):
            return True
        if word in ("false", "no", ""):
            return False
        try:
            value = float(word)
        except ValueError:
            return None
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return None


def _without_blank_end(path: Path, lines: Iterator[Line]) -> list[Line]:
    found = list(lines)
    while found and not found[-1][1]:
        found.pop()
    for number, columns in found:
        if not columns:
            raise DataError(f"{path}, line {number} is blank, and others follow; each frame needs its action")
    return found


def _check_separator(path: Path, lines: list[list[str]]) -> None:
    """Raise DataError if columns are separated by something else than commas."""
    filled = [cells for cells in lines if any(cells)]
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(filled) > 1 and all(len(cells) == 1 and separator in cells[0] for cells in filled):
            raise DataError(f"the columns of {path} are separated by {name}; separate them by commas")


def _csv_lines(path: Path) -> Iterator[Line]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    _check_separator(path, [cells for _, cells in lines])
    names = ["action"]
    for number, cells in lines:
        if not any(cells):
            yield number, {}
        elif number == 1 and (heading := _heading(path, cells)):
            names = heading
        elif names == ["action"] and _is_many_buttons(cells):
            yield number, {"action": cells}
        elif len(cells) != len(names):
            raise DataError(
                f"{path}, line {number} has {len(cells)} columns, expected {len(names)} "
                f"({printable(', '.join(names))[:200]}); with several columns the first line must name them, such as "
                "action,reward,done or left,right,fire"
            )
        else:
            yield number, dict(zip(names, cells, strict=True))


def _heading(path: Path, cells: list[str]) -> list[str] | None:
    """Return the names of the columns if these cells are such: one is `action`, or there are several and no numbers."""
    lower = [cell.lower() for cell in cells]
    if "action" in lower:
        return lower
    if len(cells) < 2 or any(_yes_or_no(cell) is not None or re.match(r"[-+.]?\d", cell) for cell in cells if cell):
        return None
    if len(set(lower)) < len(lower):
        raise DataError(f"{path}, line 1 names a column twice ({printable(', '.join(cells))[:200]})")
    return [low if low in MEANING else cell for cell, low in zip(cells, lower, strict=True)]


def _is_many_buttons(cells: list[str]) -> bool:
    """Return whether a line without a heading can only be buttons: more than there are other columns, all 0 or 1."""
    return len(cells) > len(MEANING) and all(cell and _yes_or_no(cell) is not None for cell in cells)


def _json_lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                yield number, {}
                continue
            try:
                value = parse_json(text)
            except ValueError as error:
                raise DataError(f"{path}, line {number} is not JSON: {error}") from None
            if value == {}:  # or it would count as a blank line
                raise DataError(f"{path}, line {number} has no `action`, only {json.dumps(value)}")
            yield number, value if isinstance(value, dict) else {"action": value}


READERS: dict[str, Callable[[Path], Iterator[Line]]] = {
    ".csv": _csv_lines,
    ".txt": _csv_lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
