"""The toy game is seeded, solvable, fast, and does what its actions say."""

import time
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from genie_gym.errors import InvalidActionError
from genie_gym.games import toy
from genie_gym.games.toy import JUMP, LEFT, NOOP, RIGHT, ToyGame


def play(game, seed, choose):
    """Pictures and rewards of one episode of at most 1,500 steps, and whether it terminated."""
    image, _ = game.reset(seed=seed)
    images, rewards, terminated = [image], [], False
    while not terminated and len(rewards) < 1500:
        image, reward, terminated, _, _ = game.step(choose(game))
        images.append(image)
        rewards.append(reward)
    return np.stack(images), rewards, terminated


def test_passes_gymnasiums_check():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(ToyGame(), skip_render_check=True)


def test_passes_stable_baselines3s_check():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(ToyGame())


def test_the_seed_decides_everything():
    rng = np.random.default_rng(0)
    actions = rng.integers(4, size=1500)

    def repeat(seed):
        queue = iter(actions)
        return play(ToyGame(), seed, lambda game: next(queue))

    (first, rewards, _), (again, rewards_again, _), (other, _, _) = repeat(5), repeat(5), repeat(6)
    np.testing.assert_array_equal(first, again)
    assert rewards == rewards_again
    assert not np.array_equal(first[0], other[0])


def test_running_blindly_ends_at_the_first_danger():
    for seed in range(20):
        _, rewards, terminated = play(ToyGame(), seed, lambda game: RIGHT)
        assert terminated and len(rewards) < 80


def test_jumping_in_time_clears_every_level_and_collects_coins():
    def look_ahead(game):
        column = int(game._x + 11) // toy.TILE
        return JUMP if (game._pits[column] or game._spikes[column]) and game._standing() else RIGHT

    for seed in range(20):
        game = ToyGame()
        _, rewards, terminated = play(game, seed, look_ahead)
        assert terminated and game._x >= (toy.COLUMNS - 2) * toy.TILE
        assert sum(rewards) > 10


def test_waiting_is_safe_and_changes_nothing():
    images, rewards, terminated = play(ToyGame(), 0, lambda game: NOOP)
    assert not terminated and sum(rewards) == 0
    assert (images == images[0]).all()


def test_one_image_does_not_show_the_speed():
    """Two moments that look alike but continue differently under the same action, so that a model needs memory."""
    moving, resting = ToyGame(), ToyGame()
    for game in (moving, resting):
        game.reset(seed=0)
    for _ in range(5):
        moving.step(RIGHT)
    resting._x, resting._y = moving._x, moving._y
    np.testing.assert_array_equal(moving.render(), resting.render())
    for _ in range(3):
        after_moving, after_resting = moving.step(NOOP)[0], resting.step(NOOP)[0]
    assert not np.array_equal(after_moving, after_resting)


def test_actions_do_what_they_are_called():
    def position(action):
        game = ToyGame()
        game.reset(seed=0)
        start = game._x, game._y
        for _ in range(4):
            game.step(action)
        return game._x - start[0], game._y - start[1]

    assert position(NOOP) == (0, 0)
    assert position(RIGHT)[0] > 3 and position(LEFT)[0] < -3
    assert position(JUMP)[0] == 0 and position(JUMP)[1] < -8


def test_is_fast():
    game = ToyGame()
    game.reset(seed=0)
    start = time.process_time()
    for step in range(2000):
        if game.step(step % 2)[2]:
            game.reset()
    assert 2000 / (time.process_time() - start) > 500  # a tenth of what an idle core does


@pytest.mark.parametrize("action", [-1, 4, True, 1.0, "RIGHT", None])
def test_a_wrong_action_is_refused(action):
    game = ToyGame()
    game.reset(seed=0)
    with pytest.raises(InvalidActionError):
        game.step(action)


def test_stepping_before_reset_is_refused():
    for use in (lambda game: game.step(0), lambda game: game.render()):
        with pytest.raises(gym.error.ResetNeeded):
            use(ToyGame())
