"""One dream: Gymnasium's and Stable-Baselines3's contracts, seeds, prompts, options and words of error."""

import copy
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import genie_gym  # noqa: F401 (registers the ids)
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import CheckpointError, ConfigError, GameError, InvalidActionError, PromptError
from genie_gym.registration import register_games
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.rng import uniform
from tests.conftest import reward_by_numpy, untrained


def dream(env: gym.Env, seed: int, actions: list[int]) -> tuple[np.ndarray, list[float]]:
    frames, rewards = [env.reset(seed=seed)[0]], []
    for action in actions:
        frame, reward, *_ = env.step(action)
        frames.append(frame)
        rewards.append(reward)
    return np.stack(frames), rewards


@pytest.fixture
def env(toy_checkpoint) -> WorldModelEnv:
    return WorldModelEnv(checkpoint=toy_checkpoint, temperature=1.0, render_mode="rgb_array")


def test_passes_gymnasiums_check_without_a_warning(toy_checkpoint):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint, render_mode="rgb_array").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_passes_stable_baselines_check_without_a_warning(env):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(env)


def test_same_seed_same_dream_and_another_seed_another(env):
    first, again, other = (dream(env, seed, [1, 2, 3, 0]) for seed in (5, 5, 6))
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])


def test_the_action_matters(env):
    first, _ = dream(env, 0, [0, 0, 0])
    other, _ = dream(env, 0, [0, 0, 1])
    assert np.array_equal(first[:3], other[:3])
    assert not np.array_equal(first[3], other[3])


def test_goes_on_far_beyond_the_window(env):
    env.reset(seed=0)
    frames = np.stack([env.step(i % 4)[0] for i in range(40)])
    assert len(np.unique(frames[20:], axis=0)) > 1


def test_make_finds_weights_in_the_users_folder_under_either_id():
    untrained("SuperMarioBros-Nes").save(paths.weights_dir("SuperMarioBros-Nes"))
    for name in ("GenieRedux/SuperMarioBros-v0", "GenieRedux/SuperMarioBros-Nes-v0"):
        env = gym.make(name)
        frame, _ = env.reset(seed=0)
        assert frame.shape == (64, 64, 3)
        assert env.unwrapped.get_action_meanings()[:3] == ["NOOP", "RIGHT", "LEFT"]
        env.step(env.action_space.sample())


def test_a_folder_of_weights_with_an_odd_name_stops_nothing():
    untrained("Toy-Numpy").save(paths.home() / "weights" / "My Game-Own")
    untrained("Toy-Numpy").save(paths.weights_dir("Fine.2-Own"))
    register_games()
    assert "GenieRedux/Fine.2-Own-v0" in gym.registry
    del gym.registry["GenieRedux/Fine.2-Own-v0"]


def test_without_weights_the_error_names_the_folder_and_the_commands():
    with pytest.raises(CheckpointError) as raised:
        gym.make("GenieRedux/SuperMarioBros3-v0")
    message = str(raised.value)
    assert str(paths.weights_dir("SuperMarioBros3-Nes")) in message
    assert "genie-gym collect SuperMarioBros3-Nes && genie-gym train SuperMarioBros3-Nes" in message


def test_an_unknown_game_is_answered_with_the_likely_one():
    with pytest.raises(GameError, match="Did you mean"):
        WorldModelEnv("SuperMarioBroz")


def test_the_spec_survives_a_deep_copy_and_makes_the_same_env(toy_checkpoint):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint)
    again = gym.make(copy.deepcopy(env.spec))
    assert np.array_equal(dream(env, 3, [1])[0], dream(again, 3, [1])[0])


def test_environments_share_one_model(toy_checkpoint):
    first, second = WorldModelEnv(checkpoint=toy_checkpoint), WorldModelEnv(checkpoint=toy_checkpoint)
    assert first._engine.model is second._engine.model


@pytest.mark.parametrize("context", [None, 4, 2, 1])
def test_a_dream_begins_with_so_many_real_frames_and_their_actions(toy_checkpoint, context):
    env, kept = WorldModelEnv(checkpoint=toy_checkpoint, context=context), context or 4
    frame, _ = env.reset(seed=0)
    checkpoint, row = Checkpoint.load(toy_checkpoint), [int(gym.utils.seeding.np_random(0)[0].integers(6))]
    frames, actions = (checkpoint.initial_contexts[name][row] for name in ("frames", "actions"))
    state, seen = checkpoint.model.start(frames[:, 4 - kept :], actions[:, 4 - kept :])
    np.testing.assert_array_equal(frame, seen[0])
    mine = env._engine._state
    assert torch.equal(mine.past.blocks[0].memory, state.past.blocks[0].memory)
    assert torch.equal(mine.past.count, state.past.count) and torch.equal(mine.actions, state.actions)


def test_tokens_are_drawn_as_the_options_say(toy_checkpoint):
    """By the inverse of the distribution function, as numpy has it."""
    env = WorldModelEnv(checkpoint=toy_checkpoint, temperature=0.5, min_p=0.3)
    env.reset(seed=0)
    state, tokens = env._engine._state, env._engine.model.tokens
    for _ in range(5):
        noise = uniform(state.seeds, state.past.count, 2 * tokens + 1)[0, 1 : 1 + tokens].double().numpy()
        outcome = env._engine.step(np.array([1]))
        p = torch.softmax(outcome.logits[0].double() / 0.5, -1).numpy()
        p[p < 0.3 * p.max(-1, keepdims=True)] = 0
        cumulative = (p / p.sum(-1, keepdims=True)).cumsum(-1)
        assert state.tokens[0].tolist() == (cumulative <= noise[:, None]).sum(-1).tolist()


def test_it_dreams_in_bfloat16(toy_checkpoint):
    exact, rounded = (WorldModelEnv(checkpoint=toy_checkpoint, precision=p) for p in ("float32", "bfloat16"))
    for env in (exact, rounded):
        env.reset(seed=0)
        env.step(1)
    one, other = (env._engine.step(np.array([2])).logits.float() for env in (exact, rounded))
    assert not torch.equal(one, other)
    frame = rounded.step(1)[0]
    assert frame.dtype == np.uint8 and frame.std() > 0


def test_a_prompt_of_any_size_starts_the_dream(env):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (100, 80, 3), np.uint8)
    frame, _ = env.reset(seed=0, options={"prompt": picture})
    other, _ = env.reset(seed=0, options={"prompt": 255 - picture})
    assert frame.shape == (64, 64, 3)
    assert not np.array_equal(frame, other)


def test_the_prompts_actions_are_heard(env):
    clip = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    dreams = []
    for actions in ([0, 0], [1, 3]):
        env.reset(seed=0, options={"prompt": clip, "prompt_actions": actions})
        dreams.append([env.step(0)[0] for _ in range(6)])
    assert not np.array_equal(*dreams)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prompt": np.zeros((64, 64), np.uint8)}, r"one picture \(height, width, 3\)"),
        ({"prompt": np.zeros((0, 64, 64, 3), np.uint8)}, "one picture"),
        ({"prompt": np.zeros((64, 64, 3))}, r"uint8 values.*got float64.*\(prompt \* 255\)"),
        ({"prompt": np.zeros((2, 64, 64, 3), np.uint8), "prompt_actions": [0, 1]}, "1 integers between 2 frames"),
        ({"prompt": np.zeros((2, 64, 64, 3), np.uint8), "prompt_actions": [9]}, r"lie in 0 \.\. 3; got 9"),
        ({"prompt_actions": [0]}, "without a prompt"),
        ({"promt": 1}, "unknown reset option 'promt'"),
    ],
)
def test_a_bad_prompt_is_explained(env, options, says):
    with pytest.raises(PromptError, match=says):
        env.reset(options=options)


@pytest.mark.parametrize("action", [4, -1, 1.5])
def test_a_wrong_action_is_explained(env, action):
    env.reset(seed=0)
    with pytest.raises(InvalidActionError):
        env.step(action)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"render_mode": "ansi"}, "render_mode"),
        ({"sampling_steps": 0}, "sampling steps"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"sampling_steps": 2.5}, "sampling steps must be a whole number"),
        ({"order": "alphabetical"}, "order"),
        ({"context": 9}, "context must be a whole number in 1 .. 4"),
        ({"context": 2.0}, "context must be a whole number"),
        ({"reward": "fun"}, "unknown reward 'fun' of a dream; choose one of: game, autoexplore"),
        ({"device": "abacus"}, "cannot use device 'abacus'"),
        ({"precision": "float7"}, "precision"),
    ],
)
def test_a_bad_option_is_explained(toy_checkpoint, option, says):
    with pytest.raises(ConfigError, match=says):
        WorldModelEnv(checkpoint=toy_checkpoint, **option)


def test_what_was_given_away_may_be_written_into(env):
    first, _ = env.reset(seed=0)
    next_one = env.step(1)[0]
    shown = env.unwrapped._frame.copy()
    for frame in (first, next_one):
        assert frame.flags.c_contiguous
        frame[:] = 0
    assert np.array_equal(env.unwrapped._frame, shown) and shown.any()


def test_a_checkpoint_overrules_a_name_that_no_list_knows(toy_checkpoint):
    env = WorldModelEnv("Pinball-Own", checkpoint=toy_checkpoint)
    assert env.get_action_meanings() == WorldModelEnv(checkpoint=toy_checkpoint).get_action_meanings()


def test_stepping_before_reset_is_refused(env):
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)


def test_renders_the_frame_enlarged(env):
    frame, _ = env.reset(seed=0)
    assert np.array_equal(env.render(), np.kron(frame, np.ones((4, 4, 1), np.uint8)))


def test_ends_are_drawn_with_the_probability_told(toy_checkpoint):
    env = WorldModelEnv(checkpoint=toy_checkpoint)
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(300)]
    probabilities = np.array([info["termination_prob"] for *_, info in steps])
    drawn = np.array([ended for _, _, ended, _, _ in steps])
    assert 0 < probabilities.mean() < 1
    assert abs(drawn.mean() - probabilities.mean()) < 4 * np.sqrt((probabilities * (1 - probabilities)).mean() / 300)
    endless = WorldModelEnv(checkpoint=toy_checkpoint, terminate=False)
    endless.reset(seed=0)
    assert not any(endless.step(0)[2] for _ in range(100))


@pytest.mark.parametrize("steps", [1, 3])
def test_autoexplore_rewards_the_entropy_of_the_tokens_drawn(toy_checkpoint, monkeypatch, steps):
    env = WorldModelEnv(checkpoint=toy_checkpoint, reward="autoexplore", sampling_steps=steps, temperature=1.0)
    plain = WorldModelEnv(checkpoint=toy_checkpoint, sampling_steps=steps, temperature=1.0)
    outcomes, step = [], env._engine.step
    monkeypatch.setattr(env._engine, "step", lambda actions: outcomes.append(step(actions)) or outcomes[-1])
    assert np.array_equal(env.reset(seed=3)[0], plain.reset(seed=3)[0])
    rewards = []
    for action in [0, 1, 2, 3, 3, 2]:
        (frame, reward, *_, info), (same, own, *_, twin) = env.step(action), plain.step(action)
        assert np.array_equal(frame, same)  # the reward changes nothing else
        assert info["game_reward"] == twin["game_reward"] == own
        rewards.append(reward)
    expected = [reward_by_numpy(outcome.logits.numpy())[0] for outcome in outcomes]
    np.testing.assert_allclose(rewards, expected, rtol=1e-5)
    assert 0 < min(rewards) < max(rewards) <= 2
