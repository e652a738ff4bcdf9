"""The wrapper of one environment: rewards from its own frames and actions, and Gymnasium's contract."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import Autoreset

from genie_gym import games
from genie_gym.errors import ConfigError
from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.rewards.config import RewardConfig
from genie_gym.world_model import Checkpoint
from genie_gym.wrappers import AutoExploreReward

ACTIONS = np.random.default_rng(0).integers(0, 4, 24)


def rollout(env: gym.Env, seed: int = 3) -> list[tuple]:
    """Return for each step of some episodes: frames so far, actions so far, reward and info."""
    steps, frames, taken = [], [env.reset(seed=seed)[0]], []
    for action in ACTIONS:
        frame, reward, terminated, truncated, info = env.step(action)
        frames, taken = [*frames, frame], [*taken, action]
        steps.append((frames, taken, reward, info))
        if terminated or truncated:
            frames, taken = [env.reset()[0]], []
    return steps


def test_each_reward_is_that_of_the_two_frames_and_four_actions_before(exploring_checkpoint):
    env = AutoExploreReward(games.make("Toy", max_steps=9), checkpoint=exploring_checkpoint, device="cpu")
    scorer, scored = AutoExplore(Checkpoint.load(exploring_checkpoint).model), 0
    for frames, taken, reward, info in rollout(env):
        assert info["intrinsic_reward"] == reward
        if len(frames) < 5:
            assert reward == 0
            continue
        window = torch.from_numpy(np.stack(frames[-5:-3]))[None], torch.tensor(np.array(taken[-4:]))[None]
        assert reward == pytest.approx(float(scorer.score(*window).reward[0]), rel=1e-5)
        scored += 1
    assert scored >= 8 and 0 < reward < 2


def test_frames_infos_and_the_games_reward_stay_the_same(exploring_checkpoint):
    bare = rollout(games.make("Toy", max_steps=9))
    env = AutoExploreReward(games.make("Toy", max_steps=9), checkpoint=exploring_checkpoint, mode="add", coefficient=2)
    for (frames, _, own, info), (other, _, reward, wrapped_info) in zip(bare, rollout(env), strict=True):
        assert np.array_equal(frames[-1], other[-1])
        assert wrapped_info["game_reward"] == own
        assert reward == pytest.approx(own + 2 * wrapped_info["intrinsic_reward"])
        assert info.items() <= wrapped_info.items()


def test_the_last_frame_is_rewarded_and_the_next_episode_starts_at_zero(exploring_checkpoint):
    env = AutoExploreReward(games.make("Toy", max_steps=5), checkpoint=exploring_checkpoint)
    rewards = [step[2] for step in rollout(env)][:10]
    assert [reward > 0 for reward in rewards] == [False, False, False, True, True] * 2


def test_an_inner_autoreset_starts_a_new_episode(exploring_checkpoint):
    env = AutoExploreReward(Autoreset(games.make("Toy", max_steps=5)), checkpoint=exploring_checkpoint)
    env.reset(seed=3)
    rewards = [env.step(action)[1] for action in ACTIONS[:12]]  # the sixth step only resets
    assert [reward > 0 for reward in rewards] == [False, False, False, True, True, False] * 2


def test_it_passes_gymnasiums_checks(exploring_checkpoint):
    env = AutoExploreReward(games.make("Toy"), checkpoint=exploring_checkpoint)
    check_env(env, skip_render_check=True)


def test_it_can_be_made_from_its_spec(exploring_checkpoint):
    gym.register("ExploredToy-v0", entry_point=lambda **options: games.make("Toy", **options))
    env = AutoExploreReward(gym.make("ExploredToy-v0"), checkpoint=exploring_checkpoint, horizon=2)
    again = gym.make(env.spec)
    assert isinstance(again, AutoExploreReward)
    assert again.reward_pipeline.config == env.reward_pipeline.config and again.reward_pipeline.reward.window == 4


def test_a_baseline_instead_of_autoexplore():
    env = AutoExploreReward(games.make("Toy"), reward="rnd")
    env.reset(seed=0)
    assert env.step(1)[1] > 0  # it needs no context


@pytest.mark.slow
def test_ales_own_environment_with_the_world_that_ships():
    gym.register_envs(pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]"))

    def rewards(seed: int) -> list[float]:
        env = gym.make("ALE/Breakout-v5", frameskip=4)
        env = AutoExploreReward(env, game="Breakout-Ale", resize=64, device="cpu")
        found = [step[2] for step in rollout(env, seed)]
        env.close()
        return found

    one = rewards(seed=3)
    assert np.isfinite(one).all() and one[:3] == [0, 0, 0] and min(one[3:]) > 0 and max(one) <= 2
    assert len(set(one[3:])) > 10 and one == rewards(seed=3) != rewards(seed=4)


@pytest.mark.parametrize(
    ("wrapped", "words"),
    [
        (lambda env: gym.wrappers.ResizeObservation(env, (32, 32)), "64x64, the environment gives 32x32"),
        (lambda env: gym.wrappers.FrameStackObservation(env, 2), "before frames are stacked"),
    ],
)
def test_frames_that_do_not_fit(exploring_checkpoint, wrapped, words):
    with pytest.raises(ConfigError, match=words):
        AutoExploreReward(wrapped(games.make("Toy")), checkpoint=exploring_checkpoint)


def test_actions_must_be_those_of_the_model():
    with pytest.raises(ConfigError, match="knows the actions NOOP, RIGHT, LEFT, PRIMARY, the environment has the"):
        AutoExploreReward(games.make("Toy"), game="Airstriker")


def test_unknown_option(exploring_checkpoint):
    with pytest.raises(ConfigError, match="unknown option 'horizons' of RewardConfig; did you mean 'horizon'"):
        AutoExploreReward(games.make("Toy"), checkpoint=exploring_checkpoint, horizons=2)


def test_a_configuration_in_place_of_options(exploring_checkpoint):
    config = RewardConfig(horizon=2, coefficient=3.0)
    env = AutoExploreReward(games.make("Toy"), checkpoint=exploring_checkpoint, config=config)
    assert env.reward_pipeline.config == config
    assert env._saved_kwargs["horizon"] == 2  # plain values, which a spec can hold
    with pytest.raises(ConfigError, match="give one of both"):
        AutoExploreReward(games.make("Toy"), checkpoint=exploring_checkpoint, config=config, horizon=2)
