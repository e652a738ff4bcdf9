"""The Stable-Baselines3 wrapper gives the rewards of Gymnasium's, and algorithms learn from it."""

from functools import partial

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from genie_gym import games
from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.sb3 import VecAutoExploreReward
from genie_gym.wrappers.vector import AutoExploreReward

MAKERS = [partial(games.make, "Toy", max_steps=length) for length in (6, 9, 14)]
ACTIONS = np.random.default_rng(0).integers(0, 4, (30, 3))


def make(checkpoint: str, kind: type = DummyVecEnv, **options) -> VecAutoExploreReward:
    return VecAutoExploreReward(kind(MAKERS), checkpoint=checkpoint, device="cpu", **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (DummyVecEnv, {}),
        (DummyVecEnv, {"reward": "rnd"}),
        (DummyVecEnv, {"mode": "add", "coefficient": 2.0, "normalize": True}),
        pytest.param(SubprocVecEnv, {}, marks=pytest.mark.slow),
    ],
)
def test_rewards_equal_those_of_the_gymnasium_wrapper(exploring_checkpoint, kind, options):
    env = make(exploring_checkpoint, kind, **options)
    vector = SyncVectorEnv(MAKERS, autoreset_mode=AutoresetMode.SAME_STEP)
    other = AutoExploreReward(vector, checkpoint=exploring_checkpoint, device="cpu", **options)
    env.seed(5)
    frames, _ = env.reset(), other.reset(seed=5)
    for actions in ACTIONS:
        frames, rewards, dones, infos = env.step(actions)
        expected = other.step(actions)
        assert np.array_equal(frames, expected[0]) and rewards.dtype == np.float32
        np.testing.assert_allclose(rewards, expected[1], rtol=1e-5)
        assert np.array_equal(dones, expected[2] | expected[3])
        for i, info in enumerate(infos):
            assert info["game_reward"] == expected[4]["game_reward"][i]
            assert info["intrinsic_reward"] == pytest.approx(expected[4]["intrinsic_reward"][i], rel=1e-5)
            assert ("terminal_observation" in info) == dones[i]
    env.close()


def test_a_monitor_inside_records_the_games_returns_and_one_outside_the_agents(exploring_checkpoint):
    for outside in (False, True):
        inner = DummyVecEnv(MAKERS)
        env = VecAutoExploreReward(inner if outside else VecMonitor(inner), checkpoint=exploring_checkpoint)
        env = VecMonitor(env) if outside else env
        env.seed(5)
        env.reset()
        totals = np.zeros((2, 3))
        for actions in ACTIONS[:6]:
            _, rewards, dones, infos = env.step(actions)
            totals += [[info["game_reward"] for info in infos], rewards]
        assert dones[0] and infos[0]["episode"]["r"] == pytest.approx(totals[int(outside), 0], abs=1e-5)


def test_ppo_learns_from_it_under_the_usual_wrappers(exploring_checkpoint):
    env = VecNormalize(VecTransposeImage(VecFrameStack(make(exploring_checkpoint), 2)), norm_obs=False)
    model = PPO("CnnPolicy", env, n_steps=16, batch_size=24, n_epochs=1, seed=0)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(48)
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    assert model.rollout_buffer.rewards.std() > 0


def test_it_must_be_below_stacking(exploring_checkpoint):
    with pytest.raises(ConfigError, match="before frames are stacked, transposed"):
        VecAutoExploreReward(VecTransposeImage(DummyVecEnv(MAKERS)), checkpoint=exploring_checkpoint)


def test_actions_must_be_those_of_the_model():
    with pytest.raises(ConfigError, match="knows the actions NOOP, RIGHT, LEFT, PRIMARY"):
        VecAutoExploreReward(DummyVecEnv(MAKERS), game="Airstriker")


def test_an_invalid_action_is_refused_before_any_environment_steps(exploring_checkpoint):
    env = make(exploring_checkpoint)
    env.reset()
    with pytest.raises(InvalidActionError, match=r"must lie in 0 \.\. 3"):
        env.step(np.array([0, 0, 9]))
    assert len(env.step(np.array([0, 0, 3]))[1]) == 3
