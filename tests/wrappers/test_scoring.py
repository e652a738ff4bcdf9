"""What all reward wrappers share: which steps are scored, zeros that were scored, arrays only, inference mode."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from genie_gym import games
from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import ConfigError, GenieGymError
from genie_gym.wrappers.autoexplore import AutoExploreReward
from genie_gym.wrappers.vector import AutoExploreReward as VectorReward

MAKE = partial(games.make, "Toy", max_steps=500)


def single(**options):
    env = AutoExploreReward(MAKE(), device="cpu", **options)

    def step() -> bool:
        return env.step(0)[4]["scored"]

    return env, lambda seed: env.reset(seed=seed), step


def vector(**options):
    env = VectorReward(SyncVectorEnv([MAKE] * 2, autoreset_mode=AutoresetMode.SAME_STEP), device="cpu", **options)

    def step() -> bool:
        scored = env.step(np.zeros(2, int))[4]["scored"]
        assert scored[0] == scored[1]
        return bool(scored[0])

    return env, lambda seed: env.reset(seed=seed), step


def stable_baselines(**options):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv

    from genie_gym.sb3 import VecAutoExploreReward

    env = VecAutoExploreReward(DummyVecEnv([MAKE] * 2), device="cpu", **options)

    def reset(seed: int | None) -> None:
        if seed is not None:
            env.seed(seed)
        env.reset()

    def step() -> bool:
        first, second = (info["scored"] for info in env.step(np.zeros(2, int))[3])
        assert first == second
        return first

    return env, reset, step


WRAPPERS = pytest.mark.parametrize("wrap", [single, vector, stable_baselines], ids=lambda wrap: wrap.__name__)


@WRAPPERS
def test_the_count_of_score_interval_begins_anew_with_a_seed_alone(wrap):
    _, reset, step = wrap(reward="rnd", score_interval=4)
    reset(0)
    assert [step() for _ in range(6)] == [False, False, False, True, False, False]
    reset(None)  # goes on with the seventh step
    assert [step() for _ in range(4)] == [False, True, False, False]
    reset(1)
    assert [step() for _ in range(5)] == [False, False, False, True, False]
    reset(None)
    assert [step() for _ in range(3)] == [False, False, True]


def test_a_reset_of_some_rows_leaves_the_count_of_the_others_alone():
    env = VectorReward(SyncVectorEnv([MAKE] * 2, autoreset_mode=AutoresetMode.DISABLED), reward="rnd", score_interval=3)
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    env.reset(seed=5, options={"reset_mask": np.array([True, False])})
    assert [env.step(np.zeros(2, int))[4]["scored"].any() for _ in range(3)] == [False, True, False]


@WRAPPERS
def test_a_score_of_zero_is_a_score(wrap):
    _, reset, step = wrap(reward="none", score_interval=2)
    reset(0)
    assert [step() for _ in range(4)] == [False, True, False, True]


@WRAPPERS
@pytest.mark.parametrize("reward", ["rnd", "vae_features"])
def test_a_baseline_learns_also_in_inference_mode(wrap, reward, monkeypatch):
    monkeypatch.setattr("genie_gym.rewards.pipeline.UPDATE_BATCH", 2)
    with torch.inference_mode():
        env, reset, step = wrap(reward=reward)
    before = [weight.detach().clone() for weight in env.reward_pipeline.reward.parameters() if weight.requires_grad]
    for mode in (True, False):
        with torch.inference_mode(mode):
            reset(0)
            for _ in range(4):
                step()
    after = [weight for weight in env.reward_pipeline.reward.parameters() if weight.requires_grad]
    assert before and any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_tensors_are_refused_with_advice(exploring_checkpoint):
    alone = WorldModelEnv(checkpoint=exploring_checkpoint)
    alone = gym.wrappers.TransformObservation(alone, torch.from_numpy, alone.observation_space)
    several = WorldModelVectorEnv(2, checkpoint=exploring_checkpoint)
    several = gym.wrappers.vector.TransformObservation(several, torch.from_numpy, several.observation_space)
    for env in (VectorReward(several, reward="none"), AutoExploreReward(alone, reward="none")):
        with pytest.raises(ConfigError, match=r"NumPy arrays.*Wrap them before"):
            env.reset(seed=0)


@pytest.mark.parametrize("wrap", [AutoExploreReward, VectorReward])
@pytest.mark.parametrize("env", [None, "Toy", 3])
def test_what_is_no_environment_is_refused(wrap, env):
    with pytest.raises(ConfigError, match="this reward is for"):
        wrap(env, reward="none")


def test_each_wrapper_names_the_other():
    with pytest.raises(ConfigError, match="takes several"):
        AutoExploreReward(SyncVectorEnv([MAKE]), reward="none")
    with pytest.raises(ConfigError, match="a single one"):
        VectorReward(MAKE(), reward="none")


@pytest.mark.parametrize(
    "wrong",
    [
        *({"score_interval": value} for value in (True, 1.0, "2", None, 0)),
        *({"context": value} for value in (True, 0, -1, 10**6, 2.0)),
        *({"sampling_steps": value} for value in (True, 0, 17, 10**9)),
        *({"gamma": value} for value in (True, "x", None, float("nan"), -0.1)),
        *({"coefficient": value} for value in (True, None, float("inf"))),
        *({"center": value} for value in (1, "yes", None)),
        *({"seed": value} for value in (True, -1, 2**32, 1.0)),
        *({"game": value} for value in (3, True, b"Toy")),
        *({"checkpoint": value} for value in (3, True, b"Toy", "a\0b", "n" * 300)),
    ],
    ids=lambda wrong: f"{wrong!r:.40}".replace("\0", "NUL"),
)
@pytest.mark.parametrize("wrap", [single, vector, stable_baselines], ids=lambda wrap: wrap.__name__)
def test_options_of_the_wrong_type_are_refused(exploring_checkpoint, wrap, wrong):
    with pytest.raises(GenieGymError):
        wrap(**({"checkpoint": exploring_checkpoint} | wrong))


def test_numpys_numbers_are_numbers():
    env, reset, step = single(reward="rnd", score_interval=np.int64(2), gamma=np.float32(0.5), seed=np.uint8(3))
    reset(0)
    assert [step(), step()] == [False, True]
    assert type(env.reward_pipeline.config.score_interval) is int
