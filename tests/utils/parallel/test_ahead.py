"""Values computed ahead come in order, are the same, and no thread outlives them."""

import itertools
import threading

import pytest

from genie_gym.utils.parallel.ahead import Ahead


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_values_come_in_order_and_are_begun_when_asked_for(depth):
    begun = []

    def square(number: int) -> int:
        begun.append(number)
        return number**2

    with Ahead(square, itertools.count(), depth) as values:
        assert begun == []
        assert [values.take() for _ in range(10)] == [number**2 for number in range(10)]
    assert begun == list(range(len(begun))) and len(begun) <= 10 + depth
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_the_next_value_is_computed_while_this_one_is_used():
    started = [threading.Event() for _ in range(3)]
    with Ahead(lambda number: started[min(number, 2)].set(), itertools.count(), 1) as values:
        values.take()
        assert started[1].wait(10)


def test_errors_come_when_their_value_is_asked_for():
    with Ahead(lambda number: 1 // (1 - number), itertools.count(), 2) as values:
        assert values.take() == 1
        with pytest.raises(ZeroDivisionError):
            values.take()
