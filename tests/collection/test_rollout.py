"""Episodes are repeatable by seed, with actions aligned to frames."""

import numpy as np
import pytest
from einops import rearrange

from genie_gym import games
from genie_gym.collection.policies import RandomPolicy
from genie_gym.collection.rollout import episode_seed, play_episode


def test_replaying_the_actions_gives_the_same_episode():
    env = games.make("Toy-Numpy")
    episode = play_episode(env, RandomPolicy(), seed=5, max_steps=60)
    frame, _ = env.reset(seed=5)
    np.testing.assert_array_equal(frame, episode.frames[0])
    for step, action in enumerate(episode.actions):
        frame, reward, terminated, _, _ = env.step(action)
        np.testing.assert_array_equal(frame, episode.frames[step + 1])
        assert np.float32(reward) == episode.rewards[step]
        assert terminated == (episode.terminated and step == len(episode.actions) - 1)


def test_step_limit_truncates():
    steps: list[int] = []
    episode = play_episode(games.make("Toy-Numpy"), lambda frame: 0, seed=0, max_steps=7, on_steps=steps.append)
    assert len(episode.actions) == 7
    assert (episode.terminated, episode.truncated) == (False, True)
    assert sum(steps) == 7


def test_episode_seeds_do_not_collide():
    seeds = {episode_seed(seed, index) for seed in range(20) for index in range(500)}
    assert len(seeds) >= 9_999  # 10,000 draws of 31 bits collide 0.02 times on average
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len({episode_seed(0, index, policy) for policy in ("random", "sticky") for index in range(500)}) == 1000


@pytest.mark.retro
def test_high_res_frames_show_the_same_as_the_frames():
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    env = games.make("Airstriker")
    try:
        episode = play_episode(env, RandomPolicy(), seed=1, max_steps=12, high_res=256)
    finally:
        env.close()
    assert episode.high_res.shape == (13, 256, 256, 3)
    fourth = rearrange(episode.high_res.astype(float), "t (h p) (w q) k -> t h w p q k", p=4, q=4)
    assert np.abs(fourth.mean((3, 4)) - episode.frames).max() < 1.01  # both are means of areas, rounded
    assert fourth.std((3, 4)).max() > 20  # and there is more to be seen
