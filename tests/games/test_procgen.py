"""Procgen games run, are repeatable, and end with an image of their own level."""

import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import MissingExtraError

PROCGEN = [name for name in games.names() if name.endswith("-Procgen")]


def needs_procgen():
    pytest.importorskip("procgen", reason="needs procgen: pip install genie_gym[procgen]")


class Levels:
    """A stub of Procgen's interface with a game whose n-th level lasts n + 2 steps and rewards each with its number.

    An image's red is the level, its green the step; the step after a level's last is already the next level's first.
    """

    combos = ((), ("RIGHT",), ("LEFT",), ("UP", "RIGHT"), ("UP",), ("DOWN",), ("LEFT", "UP"))
    made: ClassVar[list["Levels"]] = []

    def __init__(self, **options):
        self.options, self.level, self.at, self.reward, self.acted, self.closed = options, 0, 0, 0.0, [], False
        self.made.append(self)

    def act(self, action):
        self.acted.append(action.tolist())
        self.at, self.reward = self.at + 1, float(self.at + 1)
        if action[0] == -1 or self.at == self.level + 2:
            self.level, self.at = self.level + 1, 0

    def observe(self):
        image = np.zeros((1, 64, 64, 3), np.uint8)
        image[..., 0], image[..., 1] = self.level, self.at
        return np.array([self.reward], np.float32), {"rgb": image}, np.array([self.at == 0])

    def get_info(self):
        return [{"level_seed": np.int32(self.level), "rgb": np.zeros((512, 512, 3), np.uint8)}]

    def close(self):
        self.closed = True


def test_levels_follow_one_another_and_end_with_a_image_of_their_own(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "procgen", SimpleNamespace(ProcgenGym3Env=Levels))
    env = make("CoinRun")

    def look(observation):
        return tuple(observation[0, 0].tolist()[:2])

    observation, info = env.reset(seed=4, options={"noops": 0})
    (levels,) = Levels.made
    assert levels.options["env_name"] == "coinrun" and levels.options["distribution_mode"] == "hard"
    assert (look(observation), info["level_seed"]) == ((0, 0), 0)
    right = env.get_action_meanings().index("RIGHT")
    steps = [env.step(right) for _ in range(2)]
    assert [look(observation) for observation, *_ in steps] == [(0, 1), (0, 1)]  # the last is not shown by Procgen
    assert [(reward, ended) for _, reward, ended, *_ in steps] == [(1.0, False), (2.0, True)]
    assert levels.acted == [[1], [1]]

    assert look(env.reset(options={"noops": 0})[0]) == (1, 0)  # the level that Procgen has started already
    env.step(right)
    assert look(env.reset(options={"noops": 0})[0]) == (2, 0) and levels.acted[-1] == [-1]  # abandoned
    env.reset(seed=4)
    assert levels.closed and Levels.made[1].options["rand_seed"] == levels.options["rand_seed"]


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


def test_an_episode_is_repeatable_and_ends_with_its_own_image(make):
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


def test_coinrun_moves_as_its_actions_say(make):
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


def test_detailed_images_change_nothing_else(make):
    needs_procgen()
    plain, detailed = make("CoinRun"), make("CoinRun", detailed=True)
    for env in (plain, detailed):
        env.reset(seed=3)
    for _ in range(40):
        (first, *mine), (second, *theirs) = plain.step(1), detailed.step(1)
        np.testing.assert_array_equal(first, second)
        assert mine == theirs
        image = detailed.render()
        assert image.shape == (512, 512, 3) and plain.render().shape == (64, 64, 3)
        fourth = image.reshape(64, 8, 64, 8, 3).mean((1, 3))
        assert np.abs(fourth - first).mean() < 25  # the small image is sampled without smoothing
