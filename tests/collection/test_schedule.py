"""The episodes of a collection are the same, whoever plays them and however often it is interrupted."""

from itertools import accumulate

import numpy as np
import pytest

from genie_gym.collection.schedule import Schedule

MAX_STEPS = 50


def play(rng: np.random.Generator, lengths: list[int], stored: dict[int, int], workers: int, moves: int, **target: int):
    """Play with some workers, of which a random one gets on at each move; return whether the schedule is complete."""
    schedule = Schedule(stored, MAX_STEPS, target.get("steps"), target.get("episodes"))
    playing: dict[int, int] = {}
    played: dict[int, int] = {}
    for _ in range(moves):
        if schedule.complete():
            return True
        worker = int(rng.integers(workers))
        if worker in played:
            if (belongs := schedule.belongs(played[worker])) is not None:
                index = played.pop(worker)
                if belongs:
                    stored[index] = lengths[index]
                    schedule.stored(index)
        elif worker in playing:
            if rng.random() < 1 / lengths[playing[worker]]:  # long episodes take long
                played[worker] = playing.pop(worker)
                schedule.played(played[worker], lengths[played[worker]])
        elif (index := schedule.begin()) is not None:
            assert index not in stored and index not in playing.values()
            playing[worker] = index
    return schedule.complete()


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("seed", range(5))
def test_the_first_episodes_that_have_the_steps(workers, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 3, MAX_STEPS], 1000).tolist()
    steps = int(rng.integers(1, 1500))
    wanted = next(count for count, total in enumerate(accumulate(lengths), 1) if total >= steps)
    stored: dict[int, int] = {}
    while not play(rng, lengths, stored, workers, int(rng.integers(2000)), steps=steps):  # killed, and resumed
        assert set(stored) <= set(range(wanted))
    assert sorted(stored) == list(range(wanted))


@pytest.mark.parametrize("workers", [1, 8])
def test_a_number_of_episodes(workers):
    rng = np.random.default_rng(0)
    stored = {1: 7, 30: 9}
    while not play(rng, [7] * 1000, stored, workers, 50, episodes=20):
        pass
    assert sorted(stored) == [*range(20), 30]


def test_what_a_dead_worker_had_is_played_again():
    schedule = Schedule({}, 10, None, 3)
    assert [schedule.begin() for _ in range(4)] == [0, 1, 2, None]
    schedule.lost(1)  # while it was played
    assert schedule.begin() == 1
    for index in (2, 1, 0):
        schedule.played(index, 4)
    schedule.lost(2)  # before it was stored
    schedule.stored(0)
    schedule.stored(1)
    assert not schedule.complete() and schedule.begin() == 2 and schedule.begin() is None
    schedule.played(2, 4)
    schedule.stored(2)
    assert schedule.complete()


def test_episodes_that_are_sure_to_belong():
    schedule = Schedule({}, 10, 25)
    assert [schedule.begin(sure=True) for _ in range(4)] == [0, 1, 2, None]
    assert schedule.begin() == 3


def test_an_end_in_sight_is_not_waited_for():
    schedule = Schedule({}, 10, 100)
    assert [schedule.begin() for _ in range(12)] == list(range(12))
    assert [schedule.belongs(index) for index in (0, 9, 10, 99, 100)] == [True, True, None, None, False]
    for index in range(10):
        schedule.played(index, 10)
    assert [schedule.belongs(index) for index in (9, 10)] == [True, False]
    assert schedule.begin() is None and not schedule.complete()
    for index in range(10):
        schedule.stored(index)
    assert schedule.complete()
