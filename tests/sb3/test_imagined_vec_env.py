"""The Stable-Baselines3 adapter: ends of episodes, seeds, and an algorithm that learns from it."""

import warnings

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecTransposeImage

from genie_gym.envs import WorldModelEnvConfig, WorldModelVectorEnv
from genie_gym.errors import ClosedError, ConfigError, GenieGymError
from genie_gym.sb3 import ImaginedVecEnv


@pytest.fixture
def make(toy_checkpoint):
    return lambda **options: ImaginedVecEnv(num_envs=3, checkpoint=toy_checkpoint, **options)


def test_infos_at_an_end_hold_the_last_frame_and_its_cause(make, toy_checkpoint):
    env = make(terminate=False, max_episode_steps=3)
    env.seed(4)
    env.reset()
    plain = WorldModelVectorEnv(3, checkpoint=toy_checkpoint, terminate=False)
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


def test_terminations_and_truncations_are_told_apart(make, toy_checkpoint):
    env, cuts = make(max_episode_steps=2), set()
    plain = WorldModelVectorEnv(3, autoreset_mode="SameStep", max_episode_steps=2, checkpoint=toy_checkpoint)
    env.seed(0)
    env.reset()
    plain.reset(seed=0)
    for _ in range(12):
        *_, dones, infos = env.step(np.array([0, 1, 2]))
        *_, terminated, truncated, _ = plain.step(np.array([0, 1, 2]))
        for row in np.flatnonzero(dones):
            assert infos[row]["TimeLimit.truncated"] is bool(truncated[row] and not terminated[row])
            cuts.add(infos[row]["TimeLimit.truncated"])
    assert cuts == {True, False}


def test_episode_statistics_equal_vec_monitors(make):
    plain, monitored = make(max_episode_steps=4), VecMonitor(make(max_episode_steps=4))
    for env in (plain, monitored):
        env.seed(0)
        env.reset()
    ends = 0
    for _ in range(12):
        steps = [env.step(np.array([0, 1, 2])) for env in (plain, monitored)]
        for row in np.flatnonzero(steps[0][2]):
            own, reference = (infos[row]["episode"] for *_, infos in steps)
            assert own["l"] == reference["l"] and own["r"] == pytest.approx(reference["r"], abs=1e-5)
            ends += 1
    assert ends >= 9


def test_the_return_is_that_of_the_games_reward(make):
    env = make(max_episode_steps=4, reward="autoexplore", terminate=False)
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


def test_ppo_learns_on_stacked_and_monitored_environments(make):
    env = VecTransposeImage(VecFrameStack(VecMonitor(make(max_episode_steps=8)), 2))
    model = PPO("CnnPolicy", env, n_steps=16, batch_size=24, n_epochs=1, seed=0)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(48)
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    assert len(model.ep_info_buffer) > 0


def test_the_games_reward_stays_in_the_infos(make):
    uncertain, plain = make(reward="autoexplore", terminate=False), make(terminate=False)
    for env in (uncertain, plain):
        env.seed(2)
        env.reset()
    _, rewards, _, infos = uncertain.step(np.array([0, 1, 2]))
    _, own, _, _ = plain.step(np.array([0, 1, 2]))
    assert [info["game_reward"] for info in infos] == own.tolist()
    assert ((rewards > 0) & (rewards <= 2)).all() and not np.array_equal(rewards, own)


def test_attributes_reset_options_and_unsupported_options(make):
    env = make(render_mode="rgb_array")
    assert env.get_attr("action_space") == [env.action_space] * 3
    assert env.get_attr("observation_space", 0) == [env.observation_space]
    assert env.metadata["render_fps"] == env.vector_env.metadata["render_fps"]
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


def test_a_configuration_in_place_of_options(make, toy_checkpoint):
    config = WorldModelEnvConfig(checkpoint=toy_checkpoint, terminate=False, reward="autoexplore")
    frames, rewards = [], []
    for env in (ImaginedVecEnv(num_envs=3, config=config), make(terminate=False, reward="autoexplore")):
        env.seed(2)
        env.reset()
        step = env.step(np.array([0, 1, 2]))
        frames.append(step[0])
        rewards.append(step[1])
    assert np.array_equal(*frames) and np.array_equal(*rewards)


@pytest.mark.parametrize("indices", [0, [0, 2], -1])
def test_an_attribute_of_some_environments_cannot_be_set(make, indices):
    env = make()
    with pytest.raises(ConfigError, match="share their attributes"):
        env.set_attr("level", 3, indices=indices)
    assert not hasattr(env.vector_env, "level")


@pytest.mark.parametrize("indices", [None, [0, 1, 2], range(3)])
def test_an_attribute_of_all_environments_is_set(make, indices):
    env = make()
    env.set_attr("level", 3, indices=indices)
    assert env.get_attr("level") == [3] * 3 and env.get_attr("level", [0, 2]) == [3] * 2


def test_indices_beyond_the_environments_are_refused(make):
    for use in (lambda env: env.get_attr("metadata", 3), lambda env: env.env_is_wrapped(Monitor, [-4])):
        with pytest.raises(ConfigError, match=r"indices must lie in 0 \.\. 2"):
            use(make())


def test_episodes_are_reported_and_stable_baselines_sees_it(make):
    env = make(max_episode_steps=4)
    assert env.env_is_wrapped(Monitor) == [True] * 3 and env.env_is_wrapped(Monitor, 1) == [True]
    assert env.env_is_wrapped(gym.wrappers.TimeLimit) == [False] * 3
    model = PPO("CnnPolicy", VecTransposeImage(make(max_episode_steps=4)), n_steps=4, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, lengths = evaluate_policy(model, env, n_eval_episodes=3, return_episode_rewards=True)
    assert max(lengths) <= 4


def test_closed_means_closed_and_twice_is_fine(make):
    env = make()
    env.reset()
    env.close()
    env.close()
    for use in (env.reset, lambda: env.step(np.zeros(3, int))):
        with pytest.raises(ClosedError):
            use()


@pytest.mark.parametrize("count", [True, 0, 2.0, "3", None, 100_000])
def test_numbers_of_environments(toy_checkpoint, count):
    with pytest.raises(GenieGymError, match=r"num.envs"):
        ImaginedVecEnv(num_envs=count, checkpoint=toy_checkpoint)
    assert ImaginedVecEnv(num_envs=np.int64(2), checkpoint=toy_checkpoint).num_envs == 2


def test_options_of_a_refused_reset_do_not_stay(make):
    env = make()
    env.set_options({"colour": 1})
    with pytest.raises(GenieGymError, match="colour"):
        env.reset()
    assert env.reset().shape == (3, 64, 64, 3)
