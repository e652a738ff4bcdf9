"""Mutations of good input, and values that nothing expects, drawn from a seed; calls that may fail in one line only."""

import json
import math
import os
import warnings
from collections.abc import Callable, Iterable
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym.errors import GenieGymError

__all__ = [
    "HOSTILE_VALUES",
    "Bomb",
    "any_value",
    "damage_json",
    "mutate_bytes",
    "mutate_json",
    "mutate_value",
    "only_our_errors",
    "survives",
]

# In files of JSON.
HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 0.5, 1.5, -0.5, 20_000, 2**31, -(2**63), 2**63, 2**64, 10**400, -(10**400), 1e308),
    *(
        float("nan"),
        float("inf"),
        "",
        " ",
        "3",
        "x",
        "../../etc/passwd",
        "/dev/zero",
        "a\0b",
        "\x1b[2J",
        "\x1b[31mred\0\n",
    ),
    *(
        "\u202e",
        "\ud800",
        "x\x1b[2J\ud800",
        "x" * 100_000,
        [],
        {},
        [[]],
        [None],
        {"": None},
        [{}] * 5,
        [0] * 5,
        ["x", 1],
    ),
    *({"name": "x"}, {"actions": 1}, {"class": "Adam"}, {"x": {"x": {"x": []}}}, json.loads("[" * 100 + "]" * 100)),
)
HOSTILE_NAMES = (
    *("name", "extra", "[/b]", "\x1b[2J", "version", "", "3", "about", "settings", "\ud800", "../../../etc/passwd"),
)
HOSTILE_TEXTS = (
    *(b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff\xfe", b"", b"null", b'{"format": 1e999}', bytes(100)),
)

# In Python and on the command line.
WORDS = (
    *(
        "",
        " ",
        "x",
        "Toy",
        "auto",
        "cpu",
        "cuda:99",
        "meta",
        "None",
        "nan",
        "-1",
        "1e999",
        "../..",
        "a\0b",
        "\ud800",
        "é",
    ),
    *("n" * 300, "n/" * 2500, "NextStep", "SameStep", "Disabled", "rgb_array", "human", "random", "confidence", "rnd"),
)
NUMBERS = (
    *(0, 1, 2, 3, -1, 7, 64, 65, 255, 2**31, 2**63, 2**64, -(2**63), 10**400, True, False),
    *(0.0, 0.5, 1.0, -0.5, 1e-320, 1e308, math.nan, math.inf, -math.inf, 1j, Fraction(1, 3)),
    *(np.int8(3), np.uint64(2**63), np.float32(0.5), np.float64("nan"), np.bool_(True), np.array(2)),
)
THINGS = (
    *(None, [], (), {}, [1, 2], [None], [[1], [2, 3]], {"a": 1}, b"bytes", object, object(), print, Ellipsis, range(3)),
    *(Path("nowhere"), Path("a\0b"), Path("n" * 300), np.zeros(0), np.zeros((2, 2)), np.zeros((64, 64, 3), np.uint8)),
    *(np.array("text"), np.array([None]), torch.zeros(3), torch.zeros(3, dtype=torch.long), torch.tensor(math.nan)),
    *(np.zeros((64, 64, 3)), np.zeros((1, 64, 64, 3), np.uint8), np.zeros((5, 1, 1, 3), np.uint8), {1, 2}, "many"),
)


def any_value(rng: np.random.Generator) -> Any:
    """One of the values that Python code may give; every kind is as likely."""
    kind = (WORDS, NUMBERS, THINGS)[rng.integers(3)]
    return kind[rng.integers(len(kind))]


def mutate_bytes(rng: np.random.Generator, content: bytes, first: int = 0) -> bytes:
    """Flip, drop, repeat, insert or overwrite a few bytes from byte `first` on, or cut the end off."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        place, size = int(rng.integers(min(first, len(changed)), len(changed) + 1)), int(2 ** rng.integers(8))
        match int(rng.integers(7)):
            case 0 | 1:
                if place < len(changed):
                    changed[place] ^= 1 << int(rng.integers(8))
            case 2:
                del changed[place : place + size]
            case 3:
                changed[place:place] = changed[place : place + size]
            case 4:
                changed[place:place] = rng.bytes(size)
            case 5:
                changed[place : place + size] = bytes([int(rng.choice([0, 255, 127]))]) * size
            case 6:
                if rng.random() < 0.3:
                    del changed[place:]
    return bytes(changed)


def mutate_value(rng: np.random.Generator, value: Any) -> Any:
    """A copy of nested JSON values in which a few at any depth are replaced, dropped, added or repeated."""
    root = {"root": deepcopy(value)}
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(root))
        holder, key = places[int(rng.integers(len(places)))]
        hostile = deepcopy(_one(rng, HOSTILE_VALUES))
        match int(rng.integers(6)):
            case 0 if holder is not root:
                del holder[key]
            case 1 if isinstance(holder, dict) and holder is not root:
                holder[_one(rng, HOSTILE_NAMES)] = hostile if rng.random() < 0.7 else holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.insert(int(rng.integers(len(holder) + 1)), hostile)
            case 3 if isinstance(holder, list):
                holder.extend([holder[key]] * int(rng.integers(1, 3000)))
            case _:
                holder[key] = hostile
    return root["root"]


def mutate_json(rng: np.random.Generator, value: Any) -> str:
    """The text of mutated JSON values, sometimes nested deeply."""
    text = json.dumps(mutate_value(rng, value))
    depth = int(rng.choice([0] * 20 + [30, 1000, 100_000]))
    return '{"a":' * depth + text + "}" * depth


def damage_json(rng: np.random.Generator, value: Any) -> bytes:
    """The content of a JSON file with mutated values, or with damage that may leave no JSON."""
    kind, sound = rng.random(), json.dumps(value).encode()
    if kind < 0.8:
        return mutate_json(rng, value).encode()
    if kind < 0.93:
        return mutate_bytes(rng, sound)
    text, place = _one(rng, HOSTILE_TEXTS), int(rng.integers(len(sound)))
    return text if rng.random() < 0.5 else sound[:place] + text + sound[place:]


def _one(rng: np.random.Generator, values: tuple[Any, ...]) -> Any:
    return values[int(rng.integers(len(values)))]


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    keys: Iterable[Any] = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


class Bomb:
    """What a stranger puts into a pickle: reading it makes a folder."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def survives(call: Callable[[], Any], *allowed: type[Exception]) -> Any:
    """The result of a call, or None where it was refused in one line; other exceptions are passed on."""
    try:
        return call()
    except allowed as error:
        message = str(error)
        assert message.strip() and message.isprintable() and len(message) < 2000, message[:3000]
        return None


def only_our_errors(seed: int, attempt: Callable[[], object]) -> bool:
    """Return whether an attempt succeeded; fail unless its error is ours, in one line of characters to be shown."""
    done: list[object] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            survives(lambda: done.append(attempt()), GenieGymError)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    return bool(done)
