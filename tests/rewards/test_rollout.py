"""Rewards of complete rollouts equal those of the wrapper at each step."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from genie_gym import games
from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.rewards.rollout import RolloutReward
from genie_gym.wrappers.vector import AutoExploreReward

SPACES = Box(0, 255, (64, 64, 3), np.uint8), Discrete(4)
ACTIONS = np.random.default_rng(0).integers(0, 4, (24, 2))


def collect(checkpoint: str, mode: AutoresetMode) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return a rollout with RLeXplore's keys, and the rewards of the wrapper."""
    makers = [lambda: games.make("Toy", max_steps=7), lambda: games.make("Toy", max_steps=11)]
    env = AutoExploreReward(SyncVectorEnv(makers, autoreset_mode=mode), checkpoint=checkpoint, device="cpu")
    frames, _ = env.reset(seed=5)
    samples, rewarded = {key: [] for key in ("observations", "next_observations", "terminateds", "truncateds")}, []
    for actions in ACTIONS:
        samples["observations"].append(frames)
        frames, rewards, terminated, truncated, infos = env.step(actions)
        after = frames.copy()
        if mode == AutoresetMode.SAME_STEP:
            for row in np.flatnonzero(terminated | truncated):
                after[row] = infos["final_obs"][row]
        for key, value in (("next_observations", after), ("terminateds", terminated), ("truncateds", truncated)):
            samples[key].append(value)
        rewarded.append(rewards)
    return {key: np.stack(value) for key, value in samples.items()} | {"actions": ACTIONS}, np.stack(rewarded)


def part(samples: dict[str, np.ndarray], start: int, stop: int) -> dict[str, np.ndarray]:
    return {key: value[start:stop] for key, value in samples.items()}


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("cuts", [(0, 24), (0, 10, 24), (0, 1, 3, 8, 9, 15, 24)])
def test_rollouts_are_rewarded_as_steps_are_wherever_they_are_cut(exploring_checkpoint, mode, cuts):
    samples, expected = collect(exploring_checkpoint, mode)
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, device="cpu", autoreset_mode=mode)
    got = [reward.compute(part(samples, *ends)) for ends in pairwise(cuts)]
    np.testing.assert_allclose(torch.cat(got).numpy(), expected, rtol=1e-4)
    assert (expected > 0).sum() > 15 and (expected == 0).sum() > 8


def test_disabled_autoreset_is_treated_as_same_step(exploring_checkpoint):
    samples, expected = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, device="cpu", autoreset_mode="Disabled")
    np.testing.assert_allclose(reward.compute(samples).numpy(), expected, rtol=1e-4)
    with pytest.raises(ConfigError, match=r"autoreset_mode must be one of .*; got 'Sometimes'"):
        RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, autoreset_mode="Sometimes")


def test_without_sync_nothing_is_remembered(exploring_checkpoint):
    samples, expected = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, kappa=0.5)
    for _ in range(2):
        np.testing.assert_allclose(reward.compute(samples, sync=False).numpy(), expected, rtol=1e-4)


def test_rollouts_that_are_not_consecutive_share_no_context(exploring_checkpoint):
    samples, _ = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint)
    reward.compute(part(samples, 0, 3))
    assert (reward.compute(part(samples, 1, 6))[:3] == 0).all()


def test_the_weight_decays(exploring_checkpoint):
    samples, expected = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, beta=4.0, kappa=0.5)
    np.testing.assert_allclose(reward.compute(samples).numpy(), 4 * expected, rtol=1e-4)
    assert reward.weight == 2


def test_rewards_are_divided_by_the_deviation_of_the_discounted_sum(exploring_checkpoint):
    samples, expected = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, normalize=True, gamma=0.5)
    total, sums = np.zeros(2), []
    for row in expected:
        total = 0.5 * total + row
        sums.append(total)
    np.testing.assert_allclose(reward.compute(samples).numpy(), expected / np.std(sums), rtol=1e-2)


def test_centring_subtracts_the_mean(exploring_checkpoint):
    samples, expected = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    centred = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint, center=True).compute(samples).numpy()
    scored = expected > 0
    np.testing.assert_allclose(centred[scored], expected[scored] - expected[scored].mean(), atol=1e-3)
    assert scored.any() and not scored.all() and not centred[~scored].any()


def test_float_tensors_with_channels_first_are_accepted(exploring_checkpoint):
    samples, expected = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    given = {key: torch.from_numpy(value) for key, value in samples.items()}
    for key in ("observations", "next_observations"):
        given[key] = given[key].movedim(-1, 2).float()
    given["actions"] = given["actions"][..., None]
    reward = RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint)
    assert reward.watch(**given) is None
    np.testing.assert_allclose(reward.compute(given).numpy(), expected, rtol=1e-4)


def test_a_baseline_learns_only_with_sync(exploring_checkpoint):
    samples, _ = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, reward="random_features")
    first = reward.compute(samples, sync=False)
    assert torch.equal(reward.compute(samples, sync=False), first)
    reward.compute(samples)
    assert not torch.equal(reward.compute(samples, sync=False), first)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actions": None}, "samples lack actions"),
        ({"actions": np.zeros((24, 3), int)}, r"actions of 24 steps must have shape \(24, 2\); got \(24, 3\)"),
        ({"actions": 3}, r"actions of 1 steps must have shape \(1, 2\); got \(1,\)"),
        ({"actions": np.full((24, 2), 4)}, r"actions must lie in 0 \.\. 3; the samples hold 4 to 4"),
        ({"actions": np.full((24, 2), -1)}, "the samples hold -1 to -1"),
        ({"truncateds": np.zeros((23, 2), bool)}, r"truncateds of 24 steps must have shape \(24, 2\); got \(23, 2\)"),
        ({"next_observations": np.zeros((24, 2, 32, 32, 3), np.uint8)}, r"must have shape \(24, 2, 64, 64, 3\)"),
        ({"observations": np.zeros((24, 2, 64, 64), np.uint8)}, r"shape \(n_steps, n_envs, s, s, 3\)"),
        ({"observations": np.full((24, 2, 64, 64, 3), 0.5)}, "whole numbers from 0 to 255; got torch.float64"),
    ],
)
def test_samples_that_do_not_fit_the_environments(exploring_checkpoint, change, words):
    samples, _ = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    given = {key: value for key, value in {**samples, **change}.items() if value is not None}
    with pytest.raises((ConfigError, InvalidActionError), match=words):
        RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint).compute(given)


def test_a_reward_of_single_frames_scores_every_step_of_every_rollout(exploring_checkpoint):
    samples, _ = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    reward = RolloutReward(*SPACES, 2, reward="rnd", device="cpu")
    whole = reward.compute(samples, sync=False)
    cut = [reward.compute(part(samples, *ends)) for ends in ((0, 10), (10, 11), (11, 24))]
    assert torch.equal(cut[0], whole[:10]) and (whole > 0).all()
    assert all((rewards > 0).all() for rewards in cut)  # it learns between them


def test_black_frames_may_be_floats(exploring_checkpoint):
    samples, _ = collect(exploring_checkpoint, AutoresetMode.SAME_STEP)
    black = samples | {key: np.zeros_like(samples[key], np.float32) for key in ("observations", "next_observations")}
    assert (RolloutReward(*SPACES, 2, checkpoint=exploring_checkpoint).compute(black) >= 0).all()
