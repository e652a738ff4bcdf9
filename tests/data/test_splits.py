"""A split is by episode, repeatable, and stable when episodes are added."""

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError


class Named:
    """A stub of a dataset with ids only."""

    def __init__(self, count: int):
        self.ids = [f"random-0-{index:06d}" for index in range(count)]


@pytest.mark.parametrize("count", [2, 3, 10, 500])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_parts_cover_everything_and_are_never_empty(count, share):
    train, held_out = data.split(Named(count), share)
    assert sorted([*train, *held_out]) == list(range(count))
    assert len(train) >= 1
    assert len(held_out) >= 1


def test_share_is_met():
    _, held_out = data.split(Named(10_000), 0.1)
    assert 0.09 < len(held_out) / 10_000 < 0.11  # three standard deviations


def test_stable_when_episodes_are_added():
    few, many = data.split(Named(300), 0.1), data.split(Named(900), 0.1)
    for before, after in zip(few, many, strict=True):
        assert set(before) == {index for index in after if index < 300}


def test_seed_changes_the_choice():
    assert not np.array_equal(data.split(Named(100), seed=0)[1], data.split(Named(100), seed=1)[1])
    assert np.array_equal(data.split(Named(100), seed=1)[1], data.split(Named(100), seed=1)[1])


def test_works_on_a_recording(recorded):
    train, held_out = data.split(recorded[0], 0.3)
    assert len(train) + len(held_out) == 6


def test_refuses_a_share_out_of_range():
    with pytest.raises(DataError, match="between 0 and 1, got 10"):
        data.split(Named(3), 10)


def test_split_of_chosen_episodes():
    chosen = [3, 4, 8, 9, 20, 21]
    train, held_out = data.split(Named(30), among=chosen)
    assert sorted([*train, *held_out]) == chosen and len(train) and len(held_out)
    assert all(len(side) for side in data.split(Named(30), 0.0, among=[5, 6]))
    whole = data.split(Named(300), 0.1)[1]
    assert data.split(Named(300), 0.1, among=range(300))[1].tolist() == whole.tolist()
