"""Nested dataclasses as values that JSON can hold, and back from files that anybody may have written."""

import json
import math
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from genie_gym.utils.paths import file_size, open_regular

__all__ = ["FloatOrNan", "from_jsonable", "parse_json", "read_json", "to_jsonable"]

LARGEST_FILE = 64 * 2**20  # bytes; results of the largest evaluations take a hundredth
DEEPEST = 64  # containers in containers; files of ours have a tenth

FloatOrNan = Annotated[float, "NaN is null in JSON"]

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
PLAIN = (bool, int, float, str, Path)
WORDS |= {dict: "a table", list: "a list", NoneType: "null"}


def to_jsonable(value: Any) -> Any:
    """Return nested results as JSON values: floats rounded to four places, None for NaN and infinity.

    Args:
        value: Dataclasses, dicts, lists and tuples of numbers, strings, paths and None.

    >>> to_jsonable({"psnr": np.float64(38.123456), "moving": (float("nan"), 2)})
    {'psnr': 38.1235, 'moving': [None, 2]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): to_jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_jsonable(part) for part in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return str(value) if isinstance(value, Path) else value


def from_jsonable(kind: Any, value: Any, name: str = "it") -> Any:
    """Build a value of an annotated type from JSON values, checking each of them: the inverse of `to_jsonable`.

    Args:
        kind: A dataclass; bool, int, float, str, Path or Any; or a list, tuple, dict or union of such, or with None.
            null stands for NaN where `FloatOrNan` is wanted.
        value: What a JSON file holds.
        name: What the value is called in messages.

    Raises:
        ValueError: A value has another type, a field is missing or unknown, or text holds control characters; the
            message names the place. Dataclasses may raise errors of their own.

    >>> from_jsonable(dict[str, tuple[int, ...]], {"widths": [32, 64]})
    {'widths': (32, 64)}
    >>> from_jsonable(int | None, "3", "steps")
    Traceback (most recent call last):
    ValueError: steps should be a whole number, not '3'
    """
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, name)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return math.nan if value is None else from_jsonable(parts[0], value, name)
    if origin in (Union, UnionType):
        return _union(kind, value, name)
    if origin is dict:
        return {key: from_jsonable(parts[1], part, f"{name}[{key!r:.40}]") for key, part in _table(value, name).items()}
    if origin in (list, tuple):
        return origin(_entries(origin, parts, value, name))
    return _plain(kind, value, name)


def _dataclass(kind: Any, value: Any, name: str) -> Any:
    known, types = {field.name: field for field in fields(kind)}, get_type_hints(kind, include_extras=True)
    if not isinstance(value, dict):
        raise _wrong(dict, value, name)
    for key in value:
        if key not in known:
            raise ValueError(f"{name} has an unknown entry {key!r:.40}")
    for key, field in known.items():
        if key not in value and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name} lacks {key!r}")
    return kind(**{key: from_jsonable(types[key], part, f"{name}.{key}") for key, part in value.items()})


def _union(kind: Any, value: Any, name: str) -> Any:
    kinds = [part for part in get_args(kind) if part is not NoneType]
    if value is None and NoneType in get_args(kind):
        return None
    if len(kinds) == 1:
        return from_jsonable(kinds[0], value, name)
    for one in kinds:
        with suppress(ValueError):
            return from_jsonable(one, value, name)
    raise _wrong(kind, value, name)


def _entries(origin: type, parts: tuple[Any, ...], value: Any, name: str) -> list[Any]:
    """The entries of a list, or of a tuple of any length or of one kind for each entry."""
    if not isinstance(value, list | tuple):
        raise _wrong(list, value, name)
    kinds = [parts[0]] * len(value) if origin is list or parts[-1] is ... else parts
    if len(kinds) != len(value):
        raise ValueError(f"{name} should be a list of {len(kinds)}, not of {len(value)}")
    return [from_jsonable(kinds[index], part, f"{name}[{index}]") for index, part in enumerate(value)]


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(dict, value, name)
    for key in value:
        if not isinstance(key, str) or not _is_clean(key):
            raise ValueError(f"{name} has an entry {key!r:.40}, which is no name")
    return value


def _plain(kind: Any, value: Any, name: str) -> Any:
    base = {float: int | float, Path: str}.get(kind, kind)
    if kind not in PLAIN or not isinstance(value, base) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(kind, value, name)
    if isinstance(value, str) and not _is_clean(value):
        raise _wrong(kind, value, name)
    try:
        return kind(value)
    except OverflowError:
        raise _wrong(kind, value, name) from None


def _is_clean(text: str) -> bool:
    """Whether text can be printed to a terminal without commanding it."""
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


def _wrong(kind: Any, value: Any, name: str) -> ValueError:
    got = repr(value) if isinstance(value, int | float | str | None) and not _is_huge(value) else type(value).__name__
    wanted = WORDS.get(kind) or getattr(kind, "__name__", None) or str(kind)
    return ValueError(f"{name} should be {wanted}, not {got:.60}")


def _is_huge(value: Any) -> bool:
    """Whether a whole number has more digits than Python writes."""
    return isinstance(value, int) and value.bit_length() > 1000


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ValueError: It is no regular file, too large, cannot be read, or holds no JSON.
    """
    try:
        with open_regular(path) as file:
            if (size := file_size(path)) > LARGEST_FILE:
                raise ValueError(f"it has {size:,} bytes")
            return parse_json(file.read(LARGEST_FILE))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def parse_json(text: str | bytes) -> Any:
    """Return the value that a JSON text stands for.

    Raises:
        ValueError: It is no JSON, or is nested so deeply that programs fail on it.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        value = None
    else:
        level = [value]
        for _ in range(DEEPEST):  # not by recursion, which would fail as parsing does
            inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
            level = [part for one in inside for part in one]
            if not level:
                return value
    raise ValueError("it is nested too deeply")
