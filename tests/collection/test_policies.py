"""Policies have the documented statistics, and repeat their actions with the same generator."""

import numpy as np
import pytest

from genie_gym.collection.policies import EpsilonPolicy, Policy, StickyPolicy, make_policy
from genie_gym.errors import ConfigError

FRAME = np.zeros((64, 64, 3), np.uint8)


def play(policy, steps: int, seed: int = 0) -> np.ndarray:
    policy.reset(4, np.random.default_rng(seed))
    return np.array([policy(FRAME) for _ in range(steps)])


@pytest.mark.parametrize("name", ["random", "sticky"])
def test_all_actions_are_equally_frequent(name):
    actions = play(make_policy(name)[1], 40_000)
    shares = np.bincount(actions, minlength=4) / len(actions)
    np.testing.assert_allclose(shares, 0.25, atol=0.025)


def test_random_never_repeats_more_than_chance():
    actions = play(make_policy("random")[1], 20_000)
    assert abs((actions[1:] == actions[:-1]).mean() - 0.25) < 0.02


def test_sticky_holds_actions():
    actions = play(StickyPolicy(mean=6), 20_000)
    # An action stays with chance 5/6, and a new draw repeats the old action with chance 1/4.
    assert abs((actions[1:] == actions[:-1]).mean() - (5 / 6 + 1 / 6 / 4)) < 0.02


def test_same_generator_same_actions():
    policy = make_policy("sticky")[1]
    first = play(policy, 100, seed=3)
    np.testing.assert_array_equal(first, play(policy, 100, seed=3))
    assert (first != play(policy, 100, seed=4)).any()


class CountingPolicy:
    """A policy that always takes action 2 and counts its frames."""

    name = "watcher"
    details = {"where": "here"}

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        self.frames = 0

    def __call__(self, frame: np.ndarray) -> int:
        self.frames += 1
        return 2


@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_a_share_of_actions_is_random(share):
    watcher = CountingPolicy()
    policy = EpsilonPolicy(watcher, share)
    actions = play(policy, 20_000)
    # A random action of four is the policy's own with chance 1/4.
    assert abs((actions == 2).mean() - (1 - share * 3 / 4)) < 0.01
    assert watcher.frames == 20_000


def test_a_share_is_named_and_noted():
    name, policy = make_policy(CountingPolicy(), 0.125)
    assert (name, policy.details) == ("watcher-random12.5", {"where": "here", "epsilon": 0.125})
    assert make_policy("sticky", 0.15)[0] == "sticky-random15"
    with pytest.raises(ConfigError, match=r"from 0 to 1, got 1\.5"):
        make_policy("random", 1.5)


def test_own_policies():
    name, policy = make_policy(always_two)
    assert (name, policy(FRAME)) == ("always_two", 2)
    assert isinstance(policy, Policy)


def always_two(frame: np.ndarray) -> int:
    return 2


@pytest.mark.parametrize(
    ("policy", "words"), [("clever", "'clever'; choose one of: random, sticky"), (3, "callable with a frame, got int")]
)
def test_unknown_policy(policy, words):
    with pytest.raises(ConfigError, match=words):
        make_policy(policy)


def test_sticky_mean_out_of_range():
    with pytest.raises(ConfigError, match=r"at least 1 step on average, got 0\.5"):
        StickyPolicy(0.5)
