"""The Stable-Baselines3 adapter: its contract at ends, seeds, and an algorithm that learns on it."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecTransposeImage

from genie_gym.envs import WorldModelVectorEnv
from genie_gym.errors import ConfigError
from genie_gym.sb3 import DreamVecEnv


@pytest.fixture
def make(toy_checkpoint):
    return lambda **options: DreamVecEnv(num_envs=3, checkpoint=toy_checkpoint, **options)


def test_an_end_carries_the_last_frame_and_how_it_came(make, toy_checkpoint):
    env = make(ends=False, max_episode_steps=3)
    env.seed(4)
    env.reset()
    plain = WorldModelVectorEnv(3, checkpoint=toy_checkpoint, ends=False)
    plain.reset(seed=4)
    for step in range(1, 4):
        frames, rewards, dones, infos = env.step(np.array([0, 1, 2]))
        last = plain.step(np.array([0, 1, 2]))[0]
        assert dones.tolist() == [step == 3] * 3
    assert rewards.dtype == np.float32
    for i, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert np.array_equal(info["terminal_observation"], last[i])
        assert not np.array_equal(frames[i], last[i])


def test_a_drawn_end_is_no_limit_and_a_limit_no_end(make, toy_checkpoint):
    env, cuts = make(max_episode_steps=2), set()
    plain = WorldModelVectorEnv(3, autoreset_mode="SameStep", max_episode_steps=2, checkpoint=toy_checkpoint)
    env.seed(0)
    env.reset()
    plain.reset(seed=0)
    for _ in range(12):
        *_, dones, infos = env.step(np.array([0, 1, 2]))
        *_, ended, truncated, _ = plain.step(np.array([0, 1, 2]))
        for row in np.flatnonzero(dones):
            assert infos[row]["TimeLimit.truncated"] is bool(truncated[row] and not ended[row])
            cuts.add(infos[row]["TimeLimit.truncated"])
    assert cuts == {True, False}


def test_an_end_tells_what_vec_monitor_would(make):
    plain, monitored = make(max_episode_steps=4), VecMonitor(make(max_episode_steps=4))
    for env in (plain, monitored):
        env.seed(0)
        env.reset()
    ends = 0
    for _ in range(12):
        steps = [env.step(np.array([0, 1, 2])) for env in (plain, monitored)]
        for row in np.flatnonzero(steps[0][2]):
            mine, theirs = (infos[row]["episode"] for *_, infos in steps)
            assert mine["l"] == theirs["l"] and mine["r"] == pytest.approx(theirs["r"], abs=1e-5)
            ends += 1
    assert ends >= 9


def test_of_another_reward_the_return_is_still_the_games(make):
    env = make(max_episode_steps=4, reward="autoexplore", ends=False)
    env.seed(0)
    env.reset()
    infos = [env.step(np.array([0, 1, 2]))[3][0] for _ in range(4)]
    assert infos[-1]["episode"]["r"] == pytest.approx(sum(info["game_reward"] for info in infos), abs=1e-5)


def test_the_seed_is_used_once(make):
    env = make()
    env.seed(1)
    first, second = env.reset(), env.reset()
    env.seed(1)
    assert np.array_equal(first, env.reset())
    assert not np.array_equal(first, second)


def test_ppo_learns_on_stacked_and_monitored_dreams(make):
    env = VecTransposeImage(VecFrameStack(VecMonitor(make(max_episode_steps=8)), 2))
    model = PPO("CnnPolicy", env, n_steps=16, batch_size=24, n_epochs=1, seed=0)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(48)
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    assert len(model.ep_info_buffer) > 0


def test_the_games_reward_stays_in_the_infos(make):
    paid, plain = make(reward="autoexplore", ends=False), make(ends=False)
    for env in (paid, plain):
        env.seed(2)
        env.reset()
    _, rewards, _, infos = paid.step(np.array([0, 1, 2]))
    _, own, _, _ = plain.step(np.array([0, 1, 2]))
    assert [info["game_reward"] for info in infos] == own.tolist()
    assert ((rewards > 0) & (rewards <= 2)).all() and not np.array_equal(rewards, own)


def test_it_answers_for_one_dream_and_refuses_what_it_cannot_do(make):
    env = make(render_mode="rgb_array")
    assert env.get_attr("action_space") == [env.action_space] * 3
    assert env.get_attr("observation_space", 0) == [env.observation_space]
    assert env.metadata["render_fps"] == env.dreams.metadata["render_fps"]
    black, white = (np.full((64, 64, 3), level, np.uint8) for level in (0, 255))
    env.set_options({"prompt": white})
    frames = env.reset()
    assert np.abs(frames[0].astype(int) - frames[2]).max() <= 1
    env.set_options([{"prompt": black}, {"prompt": white}, {"prompt": white}])
    with pytest.raises(ConfigError, match="give set_options a single dictionary"):
        env.reset()
    with pytest.raises(ConfigError, match="leave tensors out"):
        make(tensors=True)
    with pytest.raises(ConfigError, match="leave autoreset_mode out"):
        make(autoreset_mode="NextStep")
