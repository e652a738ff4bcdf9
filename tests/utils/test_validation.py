"""What options may hold: types, ranges, sizes and paths."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from genie_gym.errors import ConfigError
from genie_gym.utils.options import make_config
from genie_gym.utils.validation import at_least, check_seed, check_types, more_than_zero, typed


@dataclass(frozen=True)
class Options:
    count: int = 1
    share: float | None = None
    flag: bool = False
    name: str = "x"
    place: str | Path | None = None
    folder: Path | None = None
    folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)


def test_numbers_of_numpy_are_numbers_and_become_pythons():
    options = Options(count=np.int32(3), share=np.float32(0.5), flag=np.bool_(True))
    assert options == Options(3, 0.5, True)
    assert [type(value) for value in (options.count, options.share, options.flag)] == [int, float, bool]


def test_paths_stay_what_they_are_where_both_are_taken():
    assert Options(place="a").place == "a" and Options(place=Path("a")).place == Path("a")
    assert Options(folder="a").folder == Path("a") and Options(name=Path("a")).name == "a"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"count": value} for value in (True, np.True_, 1.0, "1", None, np.array([1]), [1])),
        *({"share": value} for value in (False, "0.5", math.nan, math.inf, np.float64("nan"), 10**400)),
        *({"flag": value} for value in (1, "yes", None, 0.0)),
        *({"name": value} for value in (1, None, b"x", "a\0b", "n" * 300, "n/" * 2500)),
        *({"place": value} for value in (1, b"x", Path("a\0b"), Path("n" * 300))),
        *({"folder": value} for value in (1, True, "n" * 300)),
    ],
    ids=lambda wrong: f"{wrong!r:.40}".replace("\0", "NUL"),
)
def test_wrong_types_are_refused_by_name(wrong):
    (name,) = wrong
    for make in (Options, lambda **options: make_config(Options, None, options)):
        with pytest.raises(ConfigError, match=name) as error:
            make(**wrong)
        assert len(str(error.value)) < 300 and "\0" not in str(error.value)


def test_a_config_of_another_class_is_refused():
    with pytest.raises(ConfigError, match="Options"):
        make_config(Options, {"count": 1}, {})


@pytest.mark.parametrize("value", [True, "5", math.nan, 0, -1, 2**63])
def test_at_least_takes_numbers_alone(value):
    with pytest.raises(ConfigError, match="steps"):
        at_least(1, steps=value)


@pytest.mark.parametrize("name", ["threads", "workers", "num_envs", "clips"])
def test_absurd_sizes_are_refused_with_their_limit(name):
    with pytest.raises(ConfigError, match=rf"{name.replace('_', ' ')} must be \d+ or less, got 100001"):
        at_least(1, **{name: 100_001})
    at_least(1, **{name: 64})


@pytest.mark.parametrize("value", [True, "1", math.nan, math.inf, 0, -1])
def test_more_than_zero_takes_finite_numbers_alone(value):
    with pytest.raises(ConfigError, match="minutes"):
        more_than_zero(minutes=value)


@pytest.mark.parametrize("value", [True, "1", 1.0, -1, 2**32, None])
def test_seeds(value):
    with pytest.raises(ConfigError, match="seed"):
        check_seed(value)


def test_types_that_are_not_known_are_not_checked():
    assert typed("folders", "anything", tuple[Path, ...]) == "anything"
