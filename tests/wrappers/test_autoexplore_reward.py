"""The wrapper of one environment: its rewards from its own pictures and actions, and Gymnasium's contract."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import Autoreset

from genie_gym import games
from genie_gym.errors import ConfigError
from genie_gym.rewards import AutoExplore
from genie_gym.world_model import Checkpoint
from genie_gym.wrappers import AutoExploreReward

ACTIONS = np.random.default_rng(0).integers(0, 4, 24)


def play(env: gym.Env, seed: int = 3) -> list[tuple]:
    """Episodes of at most 9 steps: (step of the episode, frames so far, actions so far, reward, info)."""
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
    scorer, paid = AutoExplore(Checkpoint.load(exploring_checkpoint).model), 0
    for frames, taken, reward, info in play(env):
        assert info["intrinsic_reward"] == reward
        if len(frames) < 5:
            assert reward == 0
            continue
        window = torch.from_numpy(np.stack(frames[-5:-3]))[None], torch.tensor(np.array(taken[-4:]))[None]
        assert reward == pytest.approx(float(scorer.score(*window).reward[0]), rel=1e-5)
        paid += 1
    assert paid >= 8 and 0 < reward < 2


def test_pictures_ends_and_the_games_reward_stay_as_they_are(exploring_checkpoint):
    bare = play(games.make("Toy", max_steps=9))
    env = AutoExploreReward(games.make("Toy", max_steps=9), checkpoint=exploring_checkpoint, mode="add", coefficient=2)
    for (frames, _, own, info), (other, _, reward, told) in zip(bare, play(env), strict=True):
        assert np.array_equal(frames[-1], other[-1])
        assert told["game_reward"] == own
        assert reward == pytest.approx(own + 2 * told["intrinsic_reward"])
        assert info.items() <= told.items()


def test_the_last_frame_of_an_episode_is_paid_for_and_the_next_starts_anew(exploring_checkpoint):
    env = AutoExploreReward(games.make("Toy", max_steps=5), checkpoint=exploring_checkpoint)
    rewards = [step[2] for step in play(env)][:10]
    assert [reward > 0 for reward in rewards] == [False, False, False, True, True] * 2


def test_resets_within_begin_anew_too(exploring_checkpoint):
    env = AutoExploreReward(Autoreset(games.make("Toy", max_steps=5)), checkpoint=exploring_checkpoint)
    env.reset(seed=3)
    rewards = [env.step(action)[1] for action in ACTIONS[:12]]  # the sixth step only resets
    assert [reward > 0 for reward in rewards] == [False, False, False, True, True, False] * 2


def test_gymnasium_checks_it(exploring_checkpoint):
    env = AutoExploreReward(games.make("Toy"), checkpoint=exploring_checkpoint)
    check_env(env, skip_render_check=True)


def test_it_is_made_again_from_its_spec(exploring_checkpoint):
    gym.register("ExploredToy-v0", entry_point=lambda **options: games.make("Toy", **options))
    env = AutoExploreReward(gym.make("ExploredToy-v0"), checkpoint=exploring_checkpoint, horizon=2)
    again = gym.make(env.spec)
    assert isinstance(again, AutoExploreReward)
    assert again.reward_stream.options == env.reward_stream.options and again.reward_stream.reward.window == 4


def test_a_baseline_in_its_place():
    env = AutoExploreReward(games.make("Toy"), reward="rnd")
    env.reset(seed=0)
    assert env.step(1)[1] > 0  # it needs no context


@pytest.mark.parametrize(
    ("wrapped", "words"),
    [
        (lambda env: gym.wrappers.ResizeObservation(env, (32, 32)), "64x64, the environment gives 32x32"),
        (lambda env: gym.wrappers.FrameStackObservation(env, 2), "before pictures are stacked"),
    ],
)
def test_pictures_it_does_not_know(exploring_checkpoint, wrapped, words):
    with pytest.raises(ConfigError, match=words):
        AutoExploreReward(wrapped(games.make("Toy")), checkpoint=exploring_checkpoint)


def test_the_actions_must_be_the_models():
    with pytest.raises(ConfigError, match="knows the actions NOOP, RIGHT, LEFT, PRIMARY, the environment has the"):
        AutoExploreReward(games.make("Toy"), game="Airstriker")


def test_unknown_option(exploring_checkpoint):
    with pytest.raises(TypeError, match="horizons"):
        AutoExploreReward(games.make("Toy"), checkpoint=exploring_checkpoint, horizons=2)
