"""Rewards as environments step: which frames and actions they are of, when they begin, how they are mixed."""

import numpy as np
import pytest
import torch

from genie_gym.rewards import FeatureError, NoReward, RewardOptions, RewardStream, Score


class Telling:
    """A reward that says what it was asked about: the sum of its frames' colours and of its weighted actions."""

    learns = False

    def __init__(self, window: int = 5, context: int = 2):
        self.window, self.context, self.asked = window, context, []

    def score(self, frames, actions):
        assert frames.shape[1] == self.context and actions.shape[1] == self.window - 1
        self.asked.append(len(actions))
        return Score(of(frames[:, :, 0, 0, 0].double(), actions.double()).float())

    def update(self, frames, actions):
        raise AssertionError("it does not learn")


def of(colours: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """A number for each row of colours (N, c) and actions (N, w - 1) that tells them and their places."""
    return (colours * 7.0 ** torch.arange(colours.shape[1])).sum(1) + (
        0.1 * actions * 3.0 ** torch.arange(actions.shape[1])
    ).sum(1)


def picture(colour: int) -> np.ndarray:
    return np.full((1, 4, 4, 3), colour, np.uint8)


@pytest.mark.parametrize(("window", "context"), [(5, 2), (5, 5), (2, 2), (1, 1), (4, 1)])
def test_a_step_is_paid_for_the_window_that_it_ends(window, context):
    """Frame t shows colour t; the action at frame t is t % 4. The step from t to t + 1 ends a window at t + 1."""
    stream = RewardStream(Telling(window, context), 1, 4, 4, RewardOptions())
    stream.begin(picture(0))
    for t in range(9):
        stream.act(np.array([t % 4]))
        rewards = stream.see(picture(t + 1), np.zeros(1))
        first = t + 2 - window  # the frames are first .. t + 1, the actions first .. t
        if first < 0:
            assert rewards.intrinsic[0] == rewards.total[0] == 0
            continue
        colours = torch.arange(first, first + context).double()[None]
        actions = (torch.arange(first, t + 1) % 4).double()[None]
        assert rewards.intrinsic[0] == pytest.approx(float(of(colours, actions)[0]), rel=1e-5)


def test_a_new_episode_remembers_nothing_of_the_last_and_leaves_others_alone():
    stream, undisturbed = (RewardStream(Telling(3, 2), 2, 4, 4, RewardOptions()) for _ in range(2))
    start = np.concatenate([picture(0), picture(50)])
    stream.begin(start)
    undisturbed.begin(start)
    paid = []
    for t in range(6):
        frames = np.concatenate([picture(t + 1), picture(51 + t)])
        for each in (stream, undisturbed):
            each.act(np.array([1, 2]))
        rewards, other = stream.see(frames, np.zeros(2)), undisturbed.see(frames, np.zeros(2))
        assert rewards.intrinsic[1] == other.intrinsic[1]
        paid.append(rewards.intrinsic[0])
        if t == 2:
            stream.begin(picture(200), np.array([True, False]))
    assert [value > 0 for value in paid] == [False, True, True, False, True, True]
    assert paid[4] == pytest.approx(200 + 7 * 4 + 0.1 + 0.3)  # colours 200 and 4, the frame after the reset at t = 3


def test_rows_that_only_reset_are_not_scored_and_paid_nothing():
    telling = Telling(2, 1)
    stream = RewardStream(telling, 3, 4, 4, RewardOptions())
    stream.begin(np.concatenate([picture(1)] * 3))
    stream.act(np.zeros(3), live=np.array([True, False, True]))
    rewards = stream.see(np.concatenate([picture(2)] * 3), np.zeros(3))
    assert telling.asked == [2]  # one pass for all, of those alone
    assert (rewards.intrinsic > 0).tolist() == stream.scored.tolist() == [True, False, True]


def test_one_step_in_so_many_is_scored_in_all_environments():
    telling = Telling(2, 1)
    stream = RewardStream(telling, 4, 4, 4, RewardOptions(every=2))
    stream.begin(np.concatenate([picture(1)] * 4))
    scored = []
    for step in range(6):
        if step == 3:
            stream.begin(np.concatenate([picture(1)] * 2), np.array([True, False, True, False]))
        stream.act(np.ones(4))
        rewards = stream.see(np.concatenate([picture(2)] * 4), np.zeros(4))
        assert ((rewards.intrinsic > 0) == stream.scored).all()
        scored.append(stream.scored.tolist())
    assert scored == [[False] * 4, [True] * 4] * 3
    assert telling.asked == [4] * 3


def test_which_steps_are_scored_is_counted_from_a_restart_on():
    stream = RewardStream(Telling(2, 1), 2, 4, 4, RewardOptions(every=3))
    for steps in (4, 5):
        stream.begin(np.concatenate([picture(1)] * 2))
        stream.restart()
        scored = []
        for _ in range(steps):
            stream.act(np.ones(2))
            stream.see(np.concatenate([picture(2)] * 2), np.zeros(2))
            scored.append(bool(stream.scored.all()))
        assert scored == [False, False, True, False, False][:steps]


def test_episodes_shorter_than_every_are_scored_too():
    stream, scored = RewardStream(Telling(1, 1), 2, 4, 4, RewardOptions(every=4)), []
    stream.begin(np.concatenate([picture(1)] * 2))
    for step in range(12):
        stream.act(np.ones(2))
        stream.see(np.concatenate([picture(2)] * 2), np.zeros(2))
        scored.append(bool(stream.scored.all()))
        if step % 3 == 2:  # all episodes end together
            stream.begin(np.concatenate([picture(1)] * 2), np.ones(2, bool))
    assert scored == [False, False, False, True] * 3


def test_nothing_moves_while_an_agent_is_evaluated():
    options = RewardOptions(normalize=True, center=True)
    stream, lessons = RewardStream(Telling(1, 1), 1, 4, 4, options), []
    stream.reward.learns, stream.reward.update = True, lambda *windows: lessons.append(windows)

    def play(levels: range) -> list[float]:
        paid = []
        for level in levels:
            stream.act(np.ones(1))
            paid.append(float(stream.see(picture(level), np.zeros(1)).total[0]))
        return paid

    def moved() -> list[float]:
        return [float(x) for part in (stream.level, stream.scale) for x in vars(part.statistics).values()]

    stream.begin(picture(1))
    play(range(1, 150))
    before, taught = moved(), len(lessons)
    stream.training = False
    once = play(range(3, 200))
    assert moved() == before and len(lessons) == taught > 0
    assert play(range(3, 200)) == once


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [8.0, 8.0]),
        ({"coefficient": 0.5}, [4.0, 4.0]),
        ({"mode": "add"}, [9.0, 5.0]),
        ({"mode": "add", "coefficient": 0.25}, [3.0, -1.0]),
    ],
)
def test_modes_and_coefficient(options, expected):
    stream = RewardStream(Telling(1, 1), 2, 4, 4, RewardOptions(**options))
    stream.begin(np.zeros((2, 4, 4, 3), np.uint8))
    stream.act(np.zeros(2))
    rewards = stream.see(np.full((2, 4, 4, 3), 8, np.uint8), np.array([1.0, -3.0]))
    assert rewards.total.tolist() == expected and rewards.intrinsic.tolist() == [8, 8]


def test_normalised_rewards_have_the_discounted_sums_deviation():
    stream = RewardStream(Telling(1, 1), 1, 4, 4, RewardOptions(normalize=True, gamma=0.5))
    stream.begin(picture(0))
    total, returns = 0.0, []
    for colour in np.random.default_rng(0).integers(1, 200, 40):
        stream.act(np.zeros(1))
        rewards = stream.see(picture(colour), np.zeros(1))
        total = 0.5 * total + colour
        returns.append(total)
        assert rewards.intrinsic[0] == colour
    assert rewards.total[0] == pytest.approx(colour / np.std(returns), rel=1e-3)


def test_centred_rewards_stand_around_zero_and_what_is_not_scored_is_zero():
    stream = RewardStream(Telling(1, 1), 1, 4, 4, RewardOptions(center=True, every=2))
    stream.begin(picture(0))
    paid, scored = [], []
    for colour in np.random.default_rng(0).integers(100, 110, 400):
        stream.act(np.zeros(1))
        paid.append(stream.see(picture(colour), np.zeros(1)).total[0])
        scored.append(bool(stream.scored[0]))
    paid, scored = np.array(paid), np.array(scored)
    assert sum(scored) == 200 and not paid[~scored].any()
    assert abs(paid[scored][50:].mean()) < 0.5 and paid.min() < -3 and paid.max() > 3


def test_no_reward_is_none():
    stream = RewardStream(NoReward(), 2, 4, 4, RewardOptions(reward="none", mode="add"))
    stream.begin(np.zeros((2, 4, 4, 3), np.uint8))
    stream.act(np.zeros(2))
    assert stream.see(np.zeros((2, 4, 4, 3), np.uint8), np.array([1.0, 2.0])).total.tolist() == [1, 2]


def test_a_baseline_learns_what_it_sees_again_and_again():
    stream = RewardStream(FeatureError("random", 64, 4, lr=1e-3), 8, 64, 4, RewardOptions(reward="random_features"))
    shown = np.random.default_rng(0).integers(0, 256, (2, 8, 64, 64, 3), np.uint8)
    stream.begin(shown[0])
    paid = []
    for t in range(1, 161):
        stream.act(np.full(8, t % 2))
        paid.append(stream.see(shown[t % 2], np.zeros(8)).intrinsic.mean())
    assert np.mean(paid[-8:]) < 0.7 * np.mean(paid[:8])
