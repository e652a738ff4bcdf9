"""Rewards of games: the intrinsic one equals its wrapper's, the game's own equals the game's, each normalised."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs Stable-Baselines3: pip install genie_gym[sb3]")

from genie_gym.rewards.config import RewardConfig
from genie_gym.sb3 import (
    ImaginedVecEnv,
    VecAutoExploreReward,
    VecRewardProcessor,
    get_reward_statistics,
    make_game_vec_env,
    make_imagined_vec_env,
    set_reward_statistics,
    wrap_reward,
)

ACTIONS = np.random.default_rng(0).choice(4, (200, 2), p=[0.05, 0.7, 0.05, 0.2])  # to the right, jumping


def rollout(env) -> tuple[np.ndarray, list[list[dict]]]:
    env.seed(0)
    env.reset()
    steps = [env.step(actions) for actions in ACTIONS]
    return np.stack([rewards for _, rewards, _, _ in steps]), [infos for *_, infos in steps]


def test_the_intrinsic_reward_is_that_of_its_wrapper(exploring_checkpoint):
    rewards, infos = rollout(
        wrap_reward(make_game_vec_env("Toy-Numpy", 2), "autoexplore", "Toy-Numpy", exploring_checkpoint, device="cpu")
    )
    own, _ = rollout(
        VecAutoExploreReward(make_game_vec_env("Toy-Numpy", 2), checkpoint=exploring_checkpoint, device="cpu")
    )
    raw = np.array([[info["intrinsic_reward"] for info in step] for step in infos])
    np.testing.assert_allclose(raw, own, atol=1e-5)
    assert raw.max() > 0 and not np.allclose(rewards, raw)
    ends = [info for step in infos for info in step if "terminal_observation" in info]
    assert ends and all(info["TimeLimit.truncated"] for info in ends)


def test_it_is_centred(exploring_checkpoint):
    env = wrap_reward(make_game_vec_env("Toy-Numpy", 2), "autoexplore", "Toy-Numpy", exploring_checkpoint, device="cpu")
    rewards, infos = rollout(env)
    scored = np.array([[info["intrinsic_reward"] != 0 for info in step] for step in infos])
    assert abs(rewards[scored].mean()) < rewards[scored].std() and rewards[scored].min() < 0 < rewards[scored].max()
    assert not rewards[~scored].any()


def test_imagined_environments_are_normalised_the_same_way(exploring_checkpoint):
    options = {"num_envs": 2, "max_steps": 9, "device": "cpu"}
    rewards, infos = rollout(make_imagined_vec_env("Toy-Numpy", "autoexplore", exploring_checkpoint, **options))
    raw, _ = rollout(
        ImaginedVecEnv(num_envs=2, checkpoint=exploring_checkpoint, max_episode_steps=9, reward="autoexplore")
    )
    kept = np.array([[info["intrinsic_reward"] for info in step] for step in infos])
    np.testing.assert_allclose(kept, raw, atol=1e-5)
    last = rewards[100:]  # once the running statistics are stable
    assert np.corrcoef(last.ravel(), raw[100:].ravel())[0, 1] > 0.9 and abs(last.mean()) < 0.2 * last.std() + 0.05
    ends = [info for step in infos for info in step if "terminal_observation" in info]
    assert ends and all(info["TimeLimit.truncated"] for info in ends)


def test_one_step_in_three_is_scored(exploring_checkpoint):
    whole, some = (
        rollout(
            wrap_reward(
                make_game_vec_env("Toy-Numpy", 2),
                "autoexplore",
                "Toy-Numpy",
                exploring_checkpoint,
                score_interval=interval,
            )
        )[1]
        for interval in (1, 3)
    )
    whole, some = (np.array([[info["intrinsic_reward"] for info in step] for step in steps]) for steps in (whole, some))
    assert 0.3 < (some != 0).sum() / (whole != 0).sum() < 0.37
    np.testing.assert_allclose(some[some != 0], whole[some != 0], atol=1e-5)


def test_the_games_reward_is_normalised_and_terminations_stay():
    env = wrap_reward(make_game_vec_env("Toy-Numpy", 2), "game", "Toy-Numpy")
    rewards, infos = rollout(env)
    plain, _ = rollout(make_game_vec_env("Toy-Numpy", 2))
    assert plain.sum() > 0
    np.testing.assert_array_equal(rewards != 0, plain != 0)
    ends = [info for step in infos for info in step if "terminal_observation" in info]
    assert ends and not any(info["TimeLimit.truncated"] for info in ends)


@pytest.mark.parametrize("reward", ["game", "none"])
def test_statistics_can_be_restored(reward):
    first, second = (
        wrap_reward(make_game_vec_env("Toy-Numpy", 2), reward, "Toy-Numpy", device="cpu") for _ in range(2)
    )
    rollout(first)
    assert get_reward_statistics(first) != get_reward_statistics(second)
    set_reward_statistics(second, get_reward_statistics(first))
    assert get_reward_statistics(second) == get_reward_statistics(first)


def test_plain_games_have_no_statistics():
    assert get_reward_statistics(make_game_vec_env("Toy-Numpy", 1)) == {}


def test_the_processor_centres_and_normalises_every_reward():
    env = VecRewardProcessor(make_game_vec_env("Toy-Numpy", 2), RewardConfig(center=True, coefficient=2.0))
    rewards, infos = rollout(env)
    raw = np.array([[info["intrinsic_reward"] for info in step] for step in infos])
    means = np.array([raw[: t + 1].mean() for t in range(len(raw))])
    np.testing.assert_allclose(rewards, 2 * (raw - means[:, None]), atol=1e-2)
