"""Actions of every space become a table of named ones, or an error that says what to give."""

from enum import IntEnum
from itertools import product

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games.own_env.actions import action_table, played_actions
from genie_gym.games.own_env.describe import describe, named_source
from genie_gym.utils.options import EnvOptions


class Listening(gym.Env):
    """Keeps the last action it was given, which must be one of its own."""

    observation_space = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)

    def __init__(self, space: gym.Space):
        self.action_space, self.heard = space, None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((8, 8, 3), np.uint8), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.heard = np.asarray(action).tolist()
        return np.zeros((8, 8, 3), np.uint8), 0.0, False, False, {}


STEER = gym.spaces.Box(np.array([-1, 0], np.float32), np.array([1, 0.3], np.float32))


@pytest.mark.parametrize(
    ("space", "wanted", "table"),
    [
        (gym.spaces.Discrete(3), None, [0, 1, 2]),
        (gym.spaces.Discrete(3, start=-1), None, [-1, 0, 1]),
        (gym.spaces.Discrete(3), [2, 0, 1], [2, 0, 1]),
        (gym.spaces.Discrete(18), [0, 2, 17], [0, 2, 17]),
        (gym.spaces.MultiBinary(3), None, [list(one) for one in product([0, 1], repeat=3)]),
        (gym.spaces.MultiBinary((2, 1)), [[[0], [1]]], [[[0], [1]]]),
        (gym.spaces.MultiDiscrete([2, 3]), None, [list(one) for one in product([0, 1], [0, 1, 2])]),
        (gym.spaces.MultiDiscrete([2, 2], start=[1, 5]), None, [[1, 5], [1, 6], [2, 5], [2, 6]]),
        (STEER, 3, [list(one) for one in product([-1, 0, 1], [0, 0.15, 0.3])]),
        (STEER, [[0, 0], [1, 0.25]], [[0, 0], [1, 0.25]]),
    ],
)
def test_the_environment_hears_its_own_actions(space, wanted, table):
    env = Listening(space)
    game = games.wrap(env, actions=wanted, random_start=False)
    assert game.action_space == gym.spaces.Discrete(len(table))
    assert len(set(game.get_action_meanings())) == len(table)
    game.reset(seed=0)
    for i, value in enumerate(table):
        game.step(i)
        np.testing.assert_allclose(env.heard, value, atol=1e-6)


@pytest.mark.parametrize(
    ("space", "wanted", "advice"),
    [
        (STEER, None, "--env-actions 3"),
        (STEER, 1, "from 2 to"),
        (STEER, [[0, 7]], "no action of"),
        (STEER, [], "from 1 to"),
        (gym.spaces.Discrete(2000), None, "--env-actions"),
        (gym.spaces.Box(-np.inf, np.inf, (1,)), 3, "no ends"),
        (gym.spaces.Box(-np.inf, np.inf, (1,)), None, "list of actions"),
        (gym.spaces.MultiBinary(12), None, "4,096 combinations"),
        (gym.spaces.MultiBinary(12), [[0, 1]], "no action of"),
        (gym.spaces.Discrete(3), 3, "Box"),
        (gym.spaces.Discrete(3), [3], "no action of"),
        (gym.spaces.Discrete(3), [True], "no action of"),
        (gym.spaces.MultiDiscrete([2]), [["left"]], "no action of"),
        (gym.spaces.Text(3), None, "Discrete, MultiDiscrete, MultiBinary or Box"),
    ],
)
def test_advice_where_there_is_no_table(space, wanted, advice):
    with pytest.raises(GameError, match=advice):
        action_table(space, wanted)


def test_nothing_pressed_is_no_action_and_arrows_are_keys():
    assert games.wrap(Listening(gym.spaces.MultiBinary(2))).get_action_meanings()[0] == "NOOP"
    env = Listening(gym.spaces.Discrete(3))
    env.get_action_meanings = lambda: ["NOOP", "LEFT", "JUMP"]
    assert [action.keys for action in games.wrap(env).game.actions] == [(), ("left",), ("2",)]


class Moves(IntEnum):
    left, forward, right = 1, 2, 3


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (gym.spaces.Discrete(3, start=1), ["LEFT", "FORWARD", "RIGHT"]),
        (gym.spaces.Discrete(2, start=2), ["FORWARD", "RIGHT"]),
        (gym.spaces.Discrete(3), ["ACTION_0", "ACTION_1", "ACTION_2"]),  # one of them has no name
    ],
    ids=str,
)
def test_an_enumeration_names_actions(space, names):
    env = Listening(space)
    env.actions = Moves
    game = games.wrap(env).game
    assert game.meanings == names
    assert all(
        action.keys == (action.meaning.lower(),) for action in game.actions if action.meaning in ("LEFT", "RIGHT")
    )
    env.actions = [Moves.left]
    assert games.wrap(env).get_action_meanings()[0] == "ACTION_0"


def test_names_of_a_grid_world():
    pytest.importorskip("minigrid", reason="needs minigrid")
    assert games.own("Rooms", "MiniGrid-FourRooms-v0", env_actions=[0, 1, 2]).meanings == ["LEFT", "RIGHT", "FORWARD"]


def walker(observation) -> list[int]:
    """A policy that presses few of the buttons: to the right, and now and then to the right with the first."""
    walker.calls = getattr(walker, "calls", 0) + 1
    return [int(walker.calls % 4 == 0), 0, 0, 0, 0, 0, 0, 1]


def stranger(observation) -> int:
    return 7


def failing(observation) -> None:
    raise KeyError("no weights")


class Gamepad(Listening):
    """Eight buttons, of whose 256 combinations few are ever pressed."""

    def __init__(self) -> None:
        super().__init__(gym.spaces.MultiBinary(8))


def test_the_combinations_that_occur_while_a_policy_plays():
    table = played_actions(Gamepad(), walker, steps=40)
    assert table == [[0, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 1]]  # the most frequent first
    for given in (walker, f"{__name__}:walker"):
        spec = games.own("Pad", Gamepad, env_actions=given)
        assert spec.env.actions == table and len(spec.actions) == 2
        assert games.make(spec).action_space.n == 2
    named = named_source(EnvOptions(env=f"{__name__}:Gamepad", env_actions=f"{__name__}:walker"))
    assert describe("Pad", *named) == games.own("Pad", Gamepad, env_actions=table)


def test_a_policy_of_many_combinations_gives_the_most_frequent():
    rng = np.random.default_rng(0)
    table = played_actions(Gamepad(), lambda _: rng.integers(0, 2, 8), steps=2000)
    assert len(table) == 64 and len({tuple(one) for one in table}) == 64


@pytest.mark.parametrize(
    ("policy", "words"),
    [(stranger, "is no action of"), (failing, "KeyError"), (f"{__name__}:nobody", "has no 'nobody'")],
)
def test_a_policy_that_cannot_play_is_explained(policy, words):
    with pytest.raises(GameError, match=words):
        games.own("Pad", Gamepad, env_actions=policy)


def test_numbers_of_a_box_hardly_occur_twice():
    with pytest.raises(GameError, match="hardly occur twice"):
        played_actions(Listening(STEER), lambda _: STEER.sample())
