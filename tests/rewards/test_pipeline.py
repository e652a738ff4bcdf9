"""Rewards while environments step: their frames and actions, when they begin, how they are mixed."""

import numpy as np
import pytest
import torch

from genie_gym.errors import InvalidActionError
from genie_gym.rewards.adapter import EnvAdapter
from genie_gym.rewards.base import NoReward, Score
from genie_gym.rewards.baselines import FeaturePredictionError
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.pipeline import RewardPipeline
from genie_gym.utils.images import letterbox


class IdentifyingReward:
    """A reward that identifies its input: a weighted sum of the frames' colours and of the actions."""

    learns = False

    def __init__(self, window: int = 5, context: int = 2):
        self.window, self.context, self.batch_sizes = window, context, []

    def score(self, frames, actions):
        assert frames.shape[1] == self.context and actions.shape[1] == self.window - 1
        self.batch_sizes.append(len(actions))
        return Score(weighted_sum(frames[:, :, 0, 0, 0].double(), actions.double()).float())

    def update(self, frames, actions):
        raise AssertionError("it does not learn")


def weighted_sum(colours: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Return a number for each row of colours (N, c) and actions (N, w - 1) that depends on every value and place."""
    return (colours * 7.0 ** torch.arange(colours.shape[1])).sum(1) + (
        0.1 * actions * 3.0 ** torch.arange(actions.shape[1])
    ).sum(1)


def frame(colour: int) -> np.ndarray:
    return np.full((1, 4, 4, 3), colour, np.uint8)


@pytest.mark.parametrize(("window", "context"), [(5, 2), (5, 5), (2, 2), (1, 1), (4, 1)])
def test_a_step_is_rewarded_for_the_window_that_it_completes(window, context):
    """Frame t has colour t and the action at frame t is t % 4. The step from t to t + 1 completes a window at t + 1."""
    pipeline = RewardPipeline(IdentifyingReward(window, context), 1, EnvAdapter(4, 4), RewardConfig())
    pipeline.reset(frame(0))
    for t in range(9):
        pipeline.on_action(np.array([t % 4]))
        rewards = pipeline.observe(frame(t + 1), np.zeros(1))
        first = t + 2 - window  # the frames are first .. t + 1, the actions first .. t
        if first < 0:
            assert rewards.intrinsic[0] == rewards.total[0] == 0
            continue
        colours = torch.arange(first, first + context).double()[None]
        actions = (torch.arange(first, t + 1) % 4).double()[None]
        assert rewards.intrinsic[0] == pytest.approx(float(weighted_sum(colours, actions)[0]), rel=1e-5)


def test_a_new_episode_forgets_the_last_and_leaves_other_rows_alone():
    pipeline, undisturbed = (
        RewardPipeline(IdentifyingReward(3, 2), 2, EnvAdapter(4, 4), RewardConfig()) for _ in range(2)
    )
    start = np.concatenate([frame(0), frame(50)])
    pipeline.reset(start)
    undisturbed.reset(start)
    intrinsic = []
    for t in range(6):
        frames = np.concatenate([frame(t + 1), frame(51 + t)])
        for each in (pipeline, undisturbed):
            each.on_action(np.array([1, 2]))
        rewards, other = pipeline.observe(frames, np.zeros(2)), undisturbed.observe(frames, np.zeros(2))
        assert rewards.intrinsic[1] == other.intrinsic[1]
        intrinsic.append(rewards.intrinsic[0])
        if t == 2:
            pipeline.reset(frame(200), np.array([True, False]))
    assert [value > 0 for value in intrinsic] == [False, True, True, False, True, True]
    assert intrinsic[4] == pytest.approx(200 + 7 * 4 + 0.1 + 0.3)  # colours 200 and 4, after the reset


def test_rows_that_only_reset_are_neither_scored_nor_rewarded():
    reward = IdentifyingReward(2, 1)
    pipeline = RewardPipeline(reward, 3, EnvAdapter(4, 4), RewardConfig())
    pipeline.reset(np.concatenate([frame(1)] * 3))
    pipeline.on_action(np.zeros(3), stepped=np.array([True, False, True]))
    rewards = pipeline.observe(np.concatenate([frame(2)] * 3), np.zeros(3))
    assert reward.batch_sizes == [2]  # one pass, of those rows only
    assert (rewards.intrinsic > 0).tolist() == pipeline.scored.tolist() == [True, False, True]


def test_score_interval_applies_to_all_environments_together():
    reward = IdentifyingReward(2, 1)
    pipeline = RewardPipeline(reward, 4, EnvAdapter(4, 4), RewardConfig(score_interval=2))
    pipeline.reset(np.concatenate([frame(1)] * 4))
    scored = []
    for step in range(6):
        if step == 3:
            pipeline.reset(np.concatenate([frame(1)] * 2), np.array([True, False, True, False]))
        pipeline.on_action(np.ones(4))
        rewards = pipeline.observe(np.concatenate([frame(2)] * 4), np.zeros(4))
        assert ((rewards.intrinsic > 0) == pipeline.scored).all()
        scored.append(pipeline.scored.tolist())
    assert scored == [[False] * 4, [True] * 4] * 3
    assert reward.batch_sizes == [4] * 3


def test_score_interval_is_counted_from_the_reset_of_the_step_count():
    pipeline = RewardPipeline(IdentifyingReward(2, 1), 2, EnvAdapter(4, 4), RewardConfig(score_interval=3))
    for steps in (4, 5):
        pipeline.reset(np.concatenate([frame(1)] * 2))
        pipeline.reset_step_count()
        scored = []
        for _ in range(steps):
            pipeline.on_action(np.ones(2))
            pipeline.observe(np.concatenate([frame(2)] * 2), np.zeros(2))
            scored.append(bool(pipeline.scored.all()))
        assert scored == [False, False, True, False, False][:steps]


def test_episodes_shorter_than_score_interval_are_scored_too():
    pipeline, scored = RewardPipeline(IdentifyingReward(1, 1), 2, EnvAdapter(4, 4), RewardConfig(score_interval=4)), []
    pipeline.reset(np.concatenate([frame(1)] * 2))
    for step in range(12):
        pipeline.on_action(np.ones(2))
        pipeline.observe(np.concatenate([frame(2)] * 2), np.zeros(2))
        scored.append(bool(pipeline.scored.all()))
        if step % 3 == 2:  # all episodes end together
            pipeline.reset(np.concatenate([frame(1)] * 2), np.ones(2, bool))
    assert scored == [False, False, False, True] * 3


def test_nothing_changes_while_an_agent_is_evaluated():
    config = RewardConfig(normalize=True, center=True)
    pipeline, updates = RewardPipeline(IdentifyingReward(1, 1), 1, EnvAdapter(4, 4), config), []
    pipeline.reward.learns, pipeline.reward.update = True, lambda *windows: updates.append(windows)

    def rewards_of(colours: range) -> list[float]:
        rewards = []
        for colour in colours:
            pipeline.on_action(np.ones(1))
            rewards.append(float(pipeline.observe(frame(colour), np.zeros(1)).total[0]))
        return rewards

    def statistics() -> list[float]:
        return [float(x) for one in pipeline.processor.statistics.values() for x in vars(one).values()]

    pipeline.reset(frame(1))
    rewards_of(range(1, 150))
    before, count = statistics(), len(updates)
    pipeline.training = False
    first = rewards_of(range(3, 200))
    assert statistics() == before and len(updates) == count > 0
    assert rewards_of(range(3, 200)) == first


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
    pipeline = RewardPipeline(IdentifyingReward(1, 1), 2, EnvAdapter(4, 4), RewardConfig(**options))
    pipeline.reset(np.zeros((2, 4, 4, 3), np.uint8))
    pipeline.on_action(np.zeros(2))
    rewards = pipeline.observe(np.full((2, 4, 4, 3), 8, np.uint8), np.array([1.0, -3.0]))
    assert rewards.total.tolist() == expected and rewards.intrinsic.tolist() == [8, 8]


def test_normalised_rewards_are_divided_by_the_deviation_of_the_discounted_sum():
    pipeline = RewardPipeline(IdentifyingReward(1, 1), 1, EnvAdapter(4, 4), RewardConfig(normalize=True, gamma=0.5))
    pipeline.reset(frame(0))
    total, returns = 0.0, []
    for colour in np.random.default_rng(0).integers(1, 200, 40):
        pipeline.on_action(np.zeros(1))
        rewards = pipeline.observe(frame(colour), np.zeros(1))
        total = 0.5 * total + colour
        returns.append(total)
        assert rewards.intrinsic[0] == colour
    assert rewards.total[0] == pytest.approx(colour / np.std(returns), rel=1e-3)


def test_centred_rewards_have_mean_zero_and_unscored_steps_are_zero():
    pipeline = RewardPipeline(IdentifyingReward(1, 1), 1, EnvAdapter(4, 4), RewardConfig(center=True, score_interval=2))
    pipeline.reset(frame(0))
    rewards, scored = [], []
    for colour in np.random.default_rng(0).integers(100, 110, 400):
        pipeline.on_action(np.zeros(1))
        rewards.append(pipeline.observe(frame(colour), np.zeros(1)).total[0])
        scored.append(bool(pipeline.scored[0]))
    rewards, scored = np.array(rewards), np.array(scored)
    assert sum(scored) == 200 and not rewards[~scored].any()
    assert abs(rewards[scored][50:].mean()) < 0.5 and rewards.min() < -3 and rewards.max() > 3


def test_no_reward_adds_nothing():
    pipeline = RewardPipeline(NoReward(), 2, EnvAdapter(4, 4), RewardConfig(reward="none", mode="add"))
    pipeline.reset(np.zeros((2, 4, 4, 3), np.uint8))
    pipeline.on_action(np.zeros(2))
    assert pipeline.observe(np.zeros((2, 4, 4, 3), np.uint8), np.array([1.0, 2.0])).total.tolist() == [1, 2]


def test_a_baseline_learns_what_it_sees_repeatedly():
    pipeline = RewardPipeline(
        FeaturePredictionError("random", 64, 4, lr=1e-3), 8, EnvAdapter(64, 4), RewardConfig(reward="random_features")
    )
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 64, 64, 3), np.uint8)
    pipeline.reset(frames[0])
    intrinsic = []
    for t in range(1, 161):
        pipeline.on_action(np.full(8, t % 2))
        intrinsic.append(pipeline.observe(frames[t % 2], np.zeros(8)).intrinsic.mean())
    assert np.mean(intrinsic[-8:]) < 0.7 * np.mean(intrinsic[:8])


def test_frames_of_any_size_and_other_actions_are_scored_as_those_of_the_model():
    """As if the environment had shown letterboxed frames and taken the model's actions."""
    rng = np.random.default_rng(0)
    frames, taken = rng.integers(0, 256, (9, 2, 30, 20, 3), np.uint8), rng.integers(0, 3, (8, 2))
    own = RewardPipeline(IdentifyingReward(), 2, EnvAdapter(8, 3, True, np.array([2, 0, 5])), RewardConfig())
    models = RewardPipeline(IdentifyingReward(), 2, EnvAdapter(8, 6), RewardConfig())
    small = np.stack([[letterbox(frame, 8) for frame in pair] for pair in frames])
    own.reset(frames[0])
    models.reset(small[0])
    for t, actions in enumerate(taken):
        own.check_actions(actions)
        own.on_action(actions)
        models.on_action(np.array([2, 0, 5])[actions])
        found, expected = own.observe(frames[t + 1], np.zeros(2)), models.observe(small[t + 1], np.zeros(2))
        np.testing.assert_array_equal(found.intrinsic, expected.intrinsic)
    assert found.intrinsic.any()
    with pytest.raises(InvalidActionError, match=r"0 \.\. 2"):  # the environment's, not the model's
        own.check_actions(np.array([0, 5]))
