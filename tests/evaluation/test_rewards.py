"""Imagined against real rewards: sums by hand, and a model whose rewards are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genie_gym.data import EpisodeDataset
from genie_gym.evaluation import rewards as rewards_module
from genie_gym.evaluation.rewards import CONTEXT, score_rewards
from genie_gym.world_model import Checkpoint
from tests.toy_play import record


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> EpisodeDataset:
    return EpisodeDataset(record(tmp_path_factory.mktemp("play") / "data", 4, 40))


def test_the_real_sums_are_those_of_the_steps_after_the_context(toy_checkpoint, dataset):
    whole = int(dataset.lengths.min()) - CONTEXT  # one window in each episode: nothing is left to chance
    found = score_rewards(Checkpoint.load(toy_checkpoint), dataset, np.array([2]), whole, clips=3)
    rewards = dataset.steps(2)[1]
    assert found.steps == whole and found.real == pytest.approx(rewards[CONTEXT - 1 :].sum())
    assert found.real_error == 0 and np.isnan(found.correlation)
    assert np.isfinite(found.imagined)


def test_steps_are_as_many_as_the_episodes_have(toy_checkpoint, dataset):
    found = score_rewards(Checkpoint.load(toy_checkpoint), dataset, np.array([0, 1]), 10**6, clips=2)
    assert found.steps == int(dataset.lengths[:2].max()) - CONTEXT


def test_a_model_that_doubles_every_reward(toy_checkpoint, dataset, monkeypatch):
    def key(prompt, actions):
        return prompt.tobytes(), tuple(actions.tolist())

    def twice(checkpoint, prompts, prev_actions, actions, seeds, sampling):
        for t in range(actions.shape[1]):
            rows = zip(prompts, actions, strict=True)
            yield SimpleNamespace(rewards=torch.tensor([2 * known[key(*row)][t] for row in rows]))

    steps, known = 12, {}
    for episode in range(len(dataset)):
        actions, rewards = dataset.steps(episode)[:2]
        frames = dataset.frames(episode, 0, len(actions) + 1)
        for i in range(CONTEXT - 1, len(actions) - steps + 1):
            known[key(frames[i + 1 - CONTEXT : i + 1], actions[i : i + steps])] = rewards[i : i + steps]
    monkeypatch.setattr(rewards_module, "rollout_steps", twice)
    found = score_rewards(Checkpoint.load(toy_checkpoint), dataset, np.arange(4), steps, clips=40)
    assert found.imagined == pytest.approx(2 * found.real)
    assert found.imagined_error == pytest.approx(2 * found.real_error)
    assert found.real != 0 and found.correlation == pytest.approx(1)
