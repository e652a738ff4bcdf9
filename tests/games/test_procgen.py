import sys

import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import MissingExtraError

PROCGEN = [name for name in games.names() if name.endswith("-Procgen")]


def needs_procgen():
    pytest.importorskip("procgen", reason="needs procgen: pip install genie_gym[procgen]")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "procgen", None)
    with pytest.raises(MissingExtraError, match=r"pip install genie_gym\[procgen\]"):
        games.make("CoinRun")


@pytest.mark.parametrize("name", PROCGEN)
def test_every_game_runs(make, name):
    needs_procgen()
    env = make(name)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (64, 64, 3)
    seen = {env.step(action)[0].tobytes() for action in list(range(env.action_space.n)) * 5}
    assert len(seen) > 1


def test_the_seed_decides_the_levels(make):
    needs_procgen()
    env = make("CoinRun")

    def levels(seed):
        return [env.reset(seed=seed if i == 0 else None)[0] for i in range(3)]

    first, again, other = levels(1), levels(1), levels(2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])


def test_an_episode_is_repeatable_and_ends_with_its_own_picture(make):
    needs_procgen()
    env = make("StarPilot")

    def episode():
        observations, terminated = [env.reset(seed=5)[0]], False
        while not terminated:
            observation, _, terminated, *_ = env.step(1)
            observations.append(observation)
        return observations

    first, again = episode(), episode()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[-1], first[-2])
    assert not np.array_equal(env.reset()[0], first[0])


def test_coinrun_moves_as_told(make):
    needs_procgen()
    env = make("CoinRun")
    meanings = env.get_action_meanings()
    results = {}
    for meaning in ("NOOP", "RIGHT", "UP", "RIGHT+UP"):
        env.reset(seed=3)
        for _ in range(6):
            observation = env.step(meanings.index(meaning))[0]
        results[meaning] = observation.tobytes()
    assert len(set(results.values())) == 4
    assert env.game.frame_skip == 1


def test_detailed_pictures_change_nothing_else(make):
    needs_procgen()
    plain, detailed = make("CoinRun"), make("CoinRun", detailed=True)
    for env in (plain, detailed):
        env.reset(seed=3)
    for _ in range(40):
        (first, *mine), (second, *theirs) = plain.step(1), detailed.step(1)
        np.testing.assert_array_equal(first, second)
        assert mine == theirs
        picture = detailed.render()
        assert picture.shape == (512, 512, 3) and plain.render().shape == (64, 64, 3)
        fourth = picture.reshape(64, 8, 64, 8, 3).mean((1, 3))
        assert np.abs(fourth - first).mean() < 25  # the small picture is drawn from single points
