"""Frame skip, padding, random starts and errors of the common interface."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from genie_gym import games
from genie_gym.errors import ClosedError, GameError, GenieGymError, InvalidActionError


class Counter(gym.Env):
    """A game whose brightness and reward are the number of frames since the reset; it ends at frame `last`."""

    metadata = {"render_fps": 60}
    observation_space = gym.spaces.Box(0, 255, (30, 40, 3), np.uint8)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, last=10):
        self.last = last

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.frame, self.seen, self.options = 0, [], options
        return np.full((30, 40, 3), 0, np.uint8), {"frame": 0, "level": "B"}

    def step(self, action):
        self.frame += 1
        self.seen.append(int(action))
        return (
            np.full((30, 40, 3), self.frame, np.uint8),
            float(self.frame),
            self.frame == self.last,
            False,
            {"frame": self.frame},
        )

    def get_action_meanings(self):
        return ["NOOP", "UP", "DOWN"]


def test_skipped_frames_sum_rewards_and_stop_at_the_end():
    env = games.wrap(Counter(), frame_skip=4, random_start=False)
    env.reset(seed=0)
    steps = [env.step(action) for action in (1, 2, 1)]
    assert [reward for _, reward, *_ in steps] == [1 + 2 + 3 + 4, 5 + 6 + 7 + 8, 9 + 10]
    assert [terminated for _, _, terminated, *_ in steps] == [False, False, True]
    assert [int(observation.max()) for observation, *_ in steps] == [4, 8, 10]
    assert env.source.seen == [1] * 4 + [2] * 4 + [1] * 2


def test_images_are_padded_to_a_square():
    env = games.wrap(Counter(), size=32, random_start=False)
    env.reset()
    observation = env.step(0)[0]
    assert observation.shape == (32, 32, 3) and observation.dtype == np.uint8
    assert env.render().shape == (30, 40, 3)
    assert (observation[:3] == 0).all() and (observation[5:-5] == 1).all()


def test_max_steps_truncates():
    env = games.wrap(Counter(last=100), max_steps=3, random_start=False)
    env.reset()
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
    env.reset()
    assert env.step(0)[3] is False


def test_random_starts_follow_the_seed_and_differ():
    env = games.wrap(Counter(last=200))
    counts = [env.reset(seed=seed)[1]["noops"] for seed in range(40)]
    assert counts == [env.reset(seed=seed)[1]["noops"] for seed in range(40)]
    assert min(counts) < 5 and max(counts) > 25 and max(counts) <= 30
    _, info = env.reset()
    assert env.source.frame == info["noops"]
    assert len({env.reset()[1]["noops"] for _ in range(20)}) > 5  # later episodes of one seed differ, too


def test_the_number_of_idle_steps_can_be_asked_for():
    env = games.wrap(Counter(last=200), frame_skip=2)
    observation, info = env.reset(options={"noops": 7})
    assert int(observation.max()) == 14
    assert info == {"noops": 7, "frame": 14, "level": "B"}  # of the image that is given


@pytest.mark.parametrize("noops", [-1, 2.5, "many"])
def test_a_wrong_number_of_idle_steps_is_refused(noops):
    with pytest.raises(GameError, match="'noops' should be"):
        games.wrap(Counter()).reset(options={"noops": noops})


def test_a_game_that_ends_while_idling_starts_anew():
    env = games.wrap(Counter(last=3))
    observation, info = env.reset(options={"noops": 5, "state": "Level2"})
    assert int(observation.max()) == info["frame"] == 2
    assert env.source.options == {"state": "Level2"}
    assert env.step(1)[2]


@pytest.mark.parametrize("action", [-1, 3, 1.5, "UP", None, np.array([1, 2])])
def test_a_wrong_action_is_refused(action):
    env = games.wrap(Counter())
    env.reset()
    with pytest.raises(InvalidActionError, match="0 NOOP, 1 UP, 2 DOWN"):
        env.step(action)


def test_stepping_before_reset_is_refused():
    env = games.wrap(Counter())
    with pytest.raises(GameError, match="reset"):
        env.step(0)
    with pytest.raises(GameError, match="reset"):
        env.render()


@pytest.mark.parametrize("options", [{"size": 0}, {"max_steps": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(GameError, match="at least 1"):
        games.make("Toy-Numpy", **options)


def test_passes_gymnasiums_check():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(games.make("Toy-Numpy"), skip_render_check=True)


def test_passes_stable_baselines3s_check():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(games.make("Toy-Numpy"))


def test_can_be_played_by_gymnasium():
    pytest.importorskip("pygame", reason="needs pygame: pip install genie_gym[play]")
    env = games.make("Toy-Numpy")
    assert env.render_mode in env.metadata["render_modes"] and env.metadata["render_fps"] == 15
    assert set(env.get_keys_to_action().values()) == {1, 2, 3}


@pytest.mark.parametrize(
    "options",
    [
        *({"size": value} for value in (True, 64.0, "64", None, 10**9)),
        *({"max_steps": value} for value in (True, 9.0, "9", float("nan"))),
        *({"frame_skip": value} for value in (True, 2.0, "2", 0, 10**9)),
        *({name: 1} for name in ("random_start", "detailed")),
    ],
    ids=repr,
)
def test_options_of_the_wrong_type_or_absurd_are_refused(options):
    with pytest.raises(GenieGymError):
        games.make("Toy", **options)


@pytest.mark.parametrize("game", [None, 3, True, b"Toy"])
def test_names_of_games_are_text(game):
    with pytest.raises(GenieGymError):
        games.make(game)
    with pytest.raises(GenieGymError):
        games.wrap(Counter(), game)


def test_only_environments_are_wrapped():
    with pytest.raises(GameError, match="environment"):
        games.wrap("Counter")


def test_numpys_integers_are_integers():
    env = games.make("Toy", size=np.int64(32), max_steps=np.int32(1), frame_skip=np.uint8(2))
    assert env.reset(seed=np.int64(0), options={"noops": np.int8(0)})[0].shape == (32, 32, 3)
    assert env.step(np.int64(1))[3]


@pytest.mark.parametrize("options", [{"noops": True}, {"noops": 10**9}, "noops", 3])
def test_a_refused_reset_changes_nothing(options):
    refused, plain = games.wrap(Counter(last=500)), games.wrap(Counter(last=500))
    for env in (refused, plain):
        env.reset(seed=1)
    for wrong in ({"options": options, "seed": 5}, {"seed": -1}, {"seed": True}, {"seed": "x"}):
        with pytest.raises(GenieGymError):
            refused.reset(**wrong)
    assert np.array_equal(refused.step(1)[0], plain.step(1)[0])
    assert np.array_equal(refused.reset()[0], plain.reset()[0])


@pytest.mark.parametrize("begun", [False, True])
def test_a_closed_game_says_so_and_is_closed_once(begun):
    env, closed = games.wrap(Counter()), []
    env.source.close = lambda: closed.append(True)
    if begun:
        env.reset()
    env.close()
    env.close()
    assert closed == [True]
    for use in (env.reset, lambda: env.step(0), env.render):
        with pytest.raises(ClosedError, match="closed"):
            use()


def test_a_game_whose_options_are_refused_is_not_left_open(monkeypatch):
    closed = []
    monkeypatch.setattr("genie_gym.games.toy.ToyGame.close", lambda game: closed.append(True))
    with pytest.raises(GameError):
        games.make("Toy", size=0)
    assert closed == [True]
