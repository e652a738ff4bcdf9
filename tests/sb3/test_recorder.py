"""Recorded episodes equal those of the game with the same actions."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs Stable-Baselines3: pip install genie_gym[sb3]")

from genie_gym import games
from genie_gym.sb3 import VecEpisodeRecorder, make_game_vec_env


def test_episodes_are_those_of_the_game():
    recorded, rng = [], np.random.default_rng(0)
    env = VecEpisodeRecorder(make_game_vec_env("Toy-Numpy", 2, seed=5, max_steps=60), recorded.append)
    env.reset()
    for _ in range(250):
        env.step(rng.choice([1, 1, 1, 2, 3], size=2))
    env.reset()  # truncates two episodes
    env.step(np.array([1, 1]))
    env.close()  # and two more
    firsts = [next(one for one in recorded if np.array_equal(one.frames[0], first_frame(seed))) for seed in (5, 6)]
    for seed, episode in zip((5, 6), firsts, strict=True):
        game = games.make("Toy-Numpy", max_steps=60)
        frames, rewards = [game.reset(seed=seed)[0]], []
        for action in episode.actions:
            frame, reward, terminated, truncated, _ = game.step(action)
            frames.append(frame)
            rewards.append(reward)
        np.testing.assert_array_equal(episode.frames, frames)
        np.testing.assert_array_equal(episode.rewards, np.float32(rewards))
        assert (episode.terminated, episode.truncated) == (terminated, truncated)
    assert {episode.truncated for episode in recorded} == {True, False}
    assert sum(len(episode.actions) for episode in recorded) == 502  # nothing is lost
    assert [(len(episode.actions), episode.truncated) for episode in recorded[-2:]] == [(1, True)] * 2


def first_frame(seed: int) -> np.ndarray:
    return games.make("Toy-Numpy").reset(seed=seed)[0]
