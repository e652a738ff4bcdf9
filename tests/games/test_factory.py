"""Games are created by name or specification, and other environments can be wrapped."""

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games import Action, GameSpec


class Blank(gym.Env):
    """A game whose image is always black."""

    def __init__(self, shape=(8, 8, 3), dtype=np.uint8, actions=None):
        self.observation_space = gym.spaces.Box(0, 255, shape, dtype)
        self.action_space = actions or gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), {}

    def step(self, action):
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), 0.0, False, False, {}


@pytest.mark.parametrize("name", ["Toy-Numpy", "toy", games.find("Toy")])
def test_the_toy_is_made_by_name_or_spec(name):
    env = games.make(name, size=32)
    assert env.reset(seed=0)[0].shape == (32, 32, 3)
    assert env.game.name == "Toy-Numpy"


def test_frame_skip_shows_in_the_spec():
    env = games.make("Toy-Numpy", frame_skip=3)
    assert (env.game.frame_skip, env.metadata["render_fps"]) == (3, 5)


@pytest.mark.parametrize(
    "env",
    [Blank(shape=(8, 8, 4)), Blank(dtype=np.float32), Blank(shape=(4,)), Blank(actions=gym.spaces.Text(3)), 3],
)
def test_wrap_refuses_what_it_cannot_show(env):
    with pytest.raises(GameError, match=r"Received|No picture"):
        games.wrap(env)


def test_wrap_takes_a_spec_with_as_many_actions():
    spec = GameSpec("Blank-Own", "Blank", "Own", (Action("NOOP"), Action("FIRE", keys=("space",))), frame_skip=2)
    env = games.wrap(Blank(), spec)
    assert env.get_action_meanings() == ["NOOP", "FIRE"] and env.get_keys_to_action() == {(32,): 1}
    with pytest.raises(GameError, match="has 1 actions"):
        games.wrap(Blank(), GameSpec("Blank-Own", "Blank", "Own", (Action("NOOP"),)))


def test_wrap_names_actions_that_have_no_name():
    env = games.wrap(Blank(), "Night")
    assert env.game.name == "Night-Own" and env.get_action_meanings() == ["ACTION_0", "ACTION_1"]
    assert env.reset(seed=0)[1]["noops"] >= 0  # nothing is known to be idle, so nothing is pressed


@pytest.mark.retro
def test_wrap_takes_over_meanings_and_keys():
    ale_py = pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    gym.register_envs(ale_py)
    env = games.wrap(gym.make("ALE/Kangaroo-v5", frameskip=1, render_mode="rgb_array"), "Kangaroo", frame_skip=4)
    assert env.get_action_meanings()[:3] == ["NOOP", "FIRE", "UP"]
    assert env.get_keys_to_action()[(ord("w"),)] == 2
    first, again = ([env.reset(seed=4)[0], *(env.step(2)[0] for _ in range(5))] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert env.render().shape == (210, 160, 3)


def test_own_games_cannot_be_made_by_name():
    with pytest.raises(GameError, match=r"games\.wrap"):
        games.make(GameSpec("Night-Own", "Night", "Own", (Action("NOOP"),)))


def test_availability():
    assert games.available("Toy")
    assert not games.available("SuperMarioBros")
    with pytest.raises(GameError, match="Unknown game"):
        games.available("Night")


def test_wrap_refuses_to_skip_no_frames_and_knows_no_pace():
    for wrong in (0, -1):
        with pytest.raises(GameError, match=f"frame_skip should be at least 1. Received {wrong}"):
            games.wrap(Blank(), frame_skip=wrong)
    env = Blank()
    env.metadata = {"render_fps": None}  # which is as good as none
    assert games.wrap(env, frame_skip=4).game.fps == 15
