"""What games pay: the intrinsic reward as its own wrapper gives it, the game's as the game gives it, each scaled."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs Stable-Baselines3: pip install genie_gym[sb3]")

from genie_gym.sb3 import (
    DreamVecEnv,
    VecAutoExploreReward,
    get_scale,
    make_game_vec_env,
    pay,
    paying_dreams,
    set_scale,
)

ACTIONS = np.random.default_rng(0).choice(4, (200, 2), p=[0.05, 0.7, 0.05, 0.2])  # to the right, jumping


def paid(env) -> tuple[np.ndarray, list[list[dict]]]:
    env.seed(0)
    env.reset()
    steps = [env.step(actions) for actions in ACTIONS]
    return np.stack([rewards for _, rewards, _, _ in steps]), [infos for *_, infos in steps]


def test_the_intrinsic_reward_is_that_of_its_wrapper(exploring_checkpoint):
    mine, infos = paid(
        pay(make_game_vec_env("Toy-Numpy", 2), "autoexplore", "Toy-Numpy", exploring_checkpoint, device="cpu")
    )
    own, _ = paid(
        VecAutoExploreReward(make_game_vec_env("Toy-Numpy", 2), checkpoint=exploring_checkpoint, device="cpu")
    )
    raw = np.array([[info["intrinsic_reward"] for info in step] for step in infos])
    np.testing.assert_allclose(raw, own, atol=1e-5)
    assert raw.max() > 0 and not np.allclose(mine, raw)
    ends = [info for step in infos for info in step if "terminal_observation" in info]
    assert ends and all(info["TimeLimit.truncated"] for info in ends)


def test_it_is_centred(exploring_checkpoint):
    env = pay(make_game_vec_env("Toy-Numpy", 2), "autoexplore", "Toy-Numpy", exploring_checkpoint, device="cpu")
    mine, infos = paid(env)
    scored = np.array([[info["intrinsic_reward"] != 0 for info in step] for step in infos])
    assert abs(mine[scored].mean()) < mine[scored].std() and mine[scored].min() < 0 < mine[scored].max()
    assert not mine[~scored].any()


def test_dreams_pay_the_same_way(exploring_checkpoint):
    options = {"num_envs": 2, "max_steps": 9, "device": "cpu"}
    mine, infos = paid(paying_dreams("Toy-Numpy", "autoexplore", exploring_checkpoint, **options))
    raw, _ = paid(DreamVecEnv(num_envs=2, checkpoint=exploring_checkpoint, max_episode_steps=9, reward="autoexplore"))
    told = np.array([[info["intrinsic_reward"] for info in step] for step in infos])
    np.testing.assert_allclose(told, raw, atol=1e-5)
    last = mine[100:]  # once the running figures have settled
    assert np.corrcoef(last.ravel(), raw[100:].ravel())[0, 1] > 0.9 and abs(last.mean()) < 0.2 * last.std() + 0.05
    ends = [info for step in infos for info in step if "terminal_observation" in info]
    assert ends and all(info["TimeLimit.truncated"] for info in ends)


def test_one_step_in_three_is_scored(exploring_checkpoint):
    whole, some = (
        paid(pay(make_game_vec_env("Toy-Numpy", 2), "autoexplore", "Toy-Numpy", exploring_checkpoint, every=every))[1]
        for every in (1, 3)
    )
    whole, some = (np.array([[info["intrinsic_reward"] for info in step] for step in steps]) for steps in (whole, some))
    assert 0.3 < (some != 0).sum() / (whole != 0).sum() < 0.37
    np.testing.assert_allclose(some[some != 0], whole[some != 0], atol=1e-5)


def test_the_games_reward_is_scaled_and_ends_are_ends():
    env = pay(make_game_vec_env("Toy-Numpy", 2), "game", "Toy-Numpy")
    mine, infos = paid(env)
    plain, _ = paid(make_game_vec_env("Toy-Numpy", 2))
    assert plain.sum() > 0
    np.testing.assert_array_equal(mine != 0, plain != 0)
    ends = [info for step in infos for info in step if "terminal_observation" in info]
    assert ends and not any(info["TimeLimit.truncated"] for info in ends)


@pytest.mark.parametrize("reward", ["game", "none"])
def test_the_scale_can_be_taken_over(reward):
    first, second = (pay(make_game_vec_env("Toy-Numpy", 2), reward, "Toy-Numpy", device="cpu") for _ in range(2))
    paid(first)
    assert get_scale(first) != get_scale(second)
    set_scale(second, get_scale(first))
    assert get_scale(second) == get_scale(first)


def test_nothing_scales_plain_games():
    assert get_scale(make_game_vec_env("Toy-Numpy", 1)) == {}
