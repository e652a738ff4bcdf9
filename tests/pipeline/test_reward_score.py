"""Dreamed rewards beside real ones: sums by hand, and a model that pays what it is told."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genie_gym.data import Recording
from genie_gym.pipeline import reward_score
from genie_gym.pipeline.reward_score import CONTEXT, score_rewards
from genie_gym.world_model import Checkpoint
from tests.toy_play import record


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Recording:
    return Recording(record(tmp_path_factory.mktemp("play") / "data", 4, 40))


def test_the_real_sums_are_those_of_the_steps_after_the_context(toy_checkpoint, recording):
    whole = int(recording.lengths.min()) - CONTEXT  # one window in each episode: nothing is left to chance
    figures = score_rewards(Checkpoint.load(toy_checkpoint), recording, np.array([2]), whole, clips=3)
    rewards = recording.steps(2)[1]
    assert figures["steps"] == whole and figures["real"] == pytest.approx(rewards[CONTEXT - 1 :].sum())
    assert figures["real_error"] == 0 and np.isnan(figures["correlation"])
    assert np.isfinite(figures["dreamed"])


def test_steps_are_as_many_as_the_episodes_have(toy_checkpoint, recording):
    figures = score_rewards(Checkpoint.load(toy_checkpoint), recording, np.array([0, 1]), 10**6, clips=2)
    assert figures["steps"] == int(recording.lengths[:2].max()) - CONTEXT


def test_a_dream_that_pays_twice_as_much(toy_checkpoint, recording, monkeypatch):
    def key(prompt, actions):
        return prompt.tobytes(), tuple(actions.tolist())

    def twice(checkpoint, prompts, led, actions, seeds, sampling):
        for t in range(actions.shape[1]):
            rows = zip(prompts, actions, strict=True)
            yield SimpleNamespace(rewards=torch.tensor([2 * paid[key(*row)][t] for row in rows]))

    steps, paid = 12, {}
    for episode in range(len(recording)):
        actions, rewards = recording.steps(episode)[:2]
        frames = recording.frames(episode, 0, len(actions) + 1)
        for i in range(CONTEXT - 1, len(actions) - steps + 1):
            paid[key(frames[i + 1 - CONTEXT : i + 1], actions[i : i + steps])] = rewards[i : i + steps]
    monkeypatch.setattr(reward_score, "dream_steps", twice)
    figures = score_rewards(Checkpoint.load(toy_checkpoint), recording, np.arange(4), steps, clips=40)
    assert figures["dreamed"] == pytest.approx(2 * figures["real"])
    assert figures["dreamed_error"] == pytest.approx(2 * figures["real_error"])
    assert figures["real"] != 0 and figures["correlation"] == pytest.approx(1)
