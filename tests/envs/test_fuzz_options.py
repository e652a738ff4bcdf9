"""Environments, wrappers and games take any options, resets and actions without another error than one that explains.

What they accept they carry out: an episode of a few steps whose observations lie in the space.
"""

import time
from dataclasses import fields

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.envs import WorldModelEnv, WorldModelEnvConfig, WorldModelVectorEnv
from genie_gym.errors import GenieGymError
from genie_gym.rewards.config import RewardConfig
from genie_gym.wrappers import AutoExploreReward
from genie_gym.wrappers.vector import AutoExploreReward as VectorReward
from tests.conftest import LONG
from tests.fuzz import any_value, survives

ALLOWED = (GenieGymError, gym.error.ResetNeeded)
SECONDS = 5  # for one input: more is a hang
RESETS = ("seed", "options", "prompt", "prompt_actions", "reset_mask", "noops", "state", "colour")

LEFT_OUT = {"game", "checkpoint", "compile"}  # compiling takes minutes
ENV_OPTIONS = [field.name for field in fields(WorldModelEnvConfig) if field.name not in LEFT_OUT]
REWARD_OPTIONS = [field.name for field in fields(RewardConfig) if field.name not in LEFT_OUT]


def some(rng: np.random.Generator, names: list[str]) -> dict[str, object]:
    """None, one or two of the options with any values."""
    chosen = rng.choice(names, rng.integers(3), replace=False)
    return {str(name): any_value(rng) for name in chosen}


def dream(rng, folder):
    return WorldModelEnv(checkpoint=folder, **some(rng, [*ENV_OPTIONS, "render_mode", "colour"]))


def dreams(rng, folder):
    more = ["num_envs", "max_episode_steps", "autoreset_mode", "render_mode", "tensors"]
    return WorldModelVectorEnv(**{"num_envs": 2, **some(rng, [*ENV_OPTIONS, *more])}, checkpoint=folder)


def elsewhere(rng, folder):
    return WorldModelEnv(**some(rng, ["game", "checkpoint", "config"]))


def game(rng, folder):
    return games.make(**{"game": "Toy", **some(rng, ["game", "size", "frame_skip", "random_start", "max_steps"])})


def rewarded(rng, folder):
    return AutoExploreReward(games.make("Toy"), **{"checkpoint": folder, **some(rng, [*REWARD_OPTIONS, "game"])})


def all_rewarded(rng, folder):
    inner = WorldModelVectorEnv(2, checkpoint=folder)
    return VectorReward(inner, **{"checkpoint": folder, **some(rng, [*REWARD_OPTIONS, "game"])})


def stable_baselines(rng, folder):
    sb3 = pytest.importorskip("genie_gym.sb3")
    return sb3.ImaginedVecEnv(**{"num_envs": 2, **some(rng, [*ENV_OPTIONS, "num_envs"])}, checkpoint=folder)


def reset_words(rng: np.random.Generator) -> dict[str, object]:
    """Arguments of a reset, some of them of the wrong kind."""
    given = some(rng, list(RESETS))
    words = {name: given.pop(name) for name in ("seed", "options") if name in given}
    return words | ({"options": given} if given else {})


def play(rng: np.random.Generator, env) -> None:
    """Some resets and steps with any arguments, then an episode as it should be."""
    for _ in range(3):
        survives(lambda: env.reset(**reset_words(rng)), *ALLOWED)
        survives(lambda: env.step(any_value(rng)), *ALLOWED)
    frames, _ = env.reset(seed=0)
    for _ in range(2):
        assert tuple(frames.shape) == env.observation_space.shape
        actions = env.action_space.sample()
        frames = env.step(actions)[0]
    env.close()
    env.close()


def play_stable_baselines(rng: np.random.Generator, env) -> None:
    survives(lambda: env.set_options(any_value(rng)) or env.reset(), *ALLOWED)
    env.set_options({})
    env.reset()
    survives(lambda: env.step(any_value(rng)), *ALLOWED)
    env.reset()
    assert env.step(np.zeros(env.num_envs, int))[0].shape[0] == env.num_envs
    env.close()


MAKERS = (dream, dreams, elsewhere, game, rewarded, all_rewarded, stable_baselines)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [40, pytest.param(500, marks=LONG)])
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_any_options_resets_and_actions(exploring_checkpoint, make, count):
    made = 0
    for seed in range(count):
        rng, started = np.random.default_rng(seed), time.monotonic()
        env = survives(lambda rng=rng: make(rng, exploring_checkpoint), *ALLOWED)
        if env is not None:
            (play_stable_baselines if make is stable_baselines else play)(rng, env)
            made += 1
        assert time.monotonic() - started < SECONDS, seed
    assert 0 < made < count or make is elsewhere
