"""Dataclasses from JSON that anybody may have written: what fits comes back, what does not is named with its place."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from genie_gym.utils.jsonable import FloatOrNan, from_jsonable, parse_json, to_jsonable


@dataclass(frozen=True)
class Inner:
    number: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    many: tuple[Inner, ...] = ()
    table: dict[str, FloatOrNan] = field(default_factory=dict)
    maybe: Inner | None = None
    place: Path | None = None
    either: str | tuple[int, str] | None = None
    more: list[bool] = field(default_factory=list)
    anything: Any = None


LEAST = {"name": "x", "inner": {"number": 1}}


def test_there_and_back():
    many, table = (Inner(2, 0.25), Inner(3)), {"a": 1.5, "b": math.nan}
    one = Outer("x", Inner(1), many, table, Inner(4), Path("b"), (3, "step"), [True], [1, {"x": None}])
    back = from_jsonable(Outer, json.loads(json.dumps(to_jsonable(one))))
    assert repr(back) == repr(one)
    least = from_jsonable(Outer, {"name": "x", "inner": {"number": 1, "share": 2}})
    assert least == Outer("x", Inner(1, 2.0)) and isinstance(least.inner.share, float)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ([], "should be a table"),
        ({}, "lacks 'name'"),
        ({"name": "x"}, "lacks 'inner'"),
        (LEAST | {"name": 3}, "it.name should be text, not 3"),
        (LEAST | {"name": "\x1b[2J"}, r"name should be text, not '\\x1b\[2J'"),
        (LEAST | {"inner": {"number": True}}, "number should be a whole number, not True"),
        (LEAST | {"inner": {"number": 1.0}}, "number should be a whole number"),
        (LEAST | {"inner": {"number": 1, "share": 10**400}}, "share should be a number, not int"),
        (LEAST | {"inner": {"number": 1, "share": None}}, "it.inner.share should be a number, not None"),
        (LEAST | {"inner": {"number": 1, "colour": 2}}, "inner has an unknown entry 'colour'"),
        (LEAST | {"\x1b[2J": 1}, r"unknown entry '\\x1b"),
        (LEAST | {"many": {}}, "many should be a list, not dict"),
        (LEAST | {"many": [{}]}, r"many\[0\] lacks 'number'"),
        (LEAST | {"table": {"a": "b"}}, r"table\['a'\] should be a number"),
        (LEAST | {"table": {"\x1b[2J": 1}}, r"table has an entry '\\x1b"),
        (LEAST | {"place": 3}, "place should be a path, not 3"),
        (LEAST | {"either": [3]}, "either should be str | tuple"),
        (LEAST | {"either": [3.5, "step"]}, "either should be str | tuple"),
        (LEAST | {"more": [1]}, r"more\[0\] should be true or false, not 1"),
    ],
)
def test_what_is_wrong_is_named(plain, words):
    with pytest.raises(ValueError, match=words.replace("|", r"\|")) as error:
        from_jsonable(Outer, plain)
    assert str(error.value).isprintable() and len(str(error.value)) < 200


def test_deep_nesting_is_refused():
    for depth in (66, 900, 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(depth * "[" + depth * "]")
    assert parse_json(60 * "[" + 60 * "]")
