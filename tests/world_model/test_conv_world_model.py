"""A world model of convolutions is saved, stepped, batched and scored as one of transformers is."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.sampling import SamplingConfig
from tests.conftest import CONV_DYNAMICS, CONV_TOKENIZER, untrained_conv


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return untrained_conv()


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    place = tmp_path_factory.mktemp("conv") / "checkpoint"
    checkpoint.save(place)
    return place


def test_it_is_the_same_after_saving(checkpoint, folder):
    loaded = Checkpoint.load(folder)
    assert loaded.model.tokenizer.config == CONV_TOKENIZER and loaded.model.dynamics.config == CONV_DYNAMICS
    saved, read = checkpoint.model.state_dict(), loaded.model.state_dict()
    assert saved.keys() == read.keys() and all(torch.equal(saved[name], read[name]) for name in saved)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_batch_holds_what_each_environment_alone_would_show(folder, steps):
    options = {"checkpoint": str(folder), "sampling_steps": steps, "terminate": False}
    together = gym.make_vec("GenieRedux/Toy-v0", num_envs=3, **options)
    alone = [gym.make("GenieRedux/Toy-v0", **options) for _ in range(3)]
    frames = together.reset(seed=[5, 6, 7])[0]
    singles = np.stack([env.reset(seed=5 + i)[0] for i, env in enumerate(alone)])
    actions = np.random.default_rng(0).integers(0, 4, (6, 3))
    for row in actions:
        assert np.abs(frames.astype(int) - singles).max() <= 1
        frames = together.step(row)[0]
        singles = np.stack([env.step(int(a))[0] for env, a in zip(alone, row, strict=True)])
    assert len(np.unique(frames.reshape(3, -1), axis=0)) > 1


@pytest.mark.parametrize("steps", [1, 4])
def test_the_first_frame_of_a_single_pass_is_that_of_a_step(checkpoint, steps):
    model, sampling = checkpoint.model, SamplingConfig(steps=steps)
    frames, before = (checkpoint.initial_contexts[name] for name in ("frames", "actions"))
    seeds, actions = torch.arange(6), torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0], [1, 1], [2, 2]])
    state, _ = model.start(frames, before, seeds)
    stepped = model.step(state, actions[:, 0], sampling).frames
    assert torch.equal(model.single_pass(frames, before, actions, seeds, sampling)[:, 0], stepped)


def test_its_uncertainty_is_a_reward(checkpoint):
    frames = checkpoint.initial_contexts["frames"][:, :2]
    score = AutoExplore(checkpoint.model).score(frames, torch.ones(6, 4, dtype=torch.int64))
    assert score.map.shape == (6, 4, 4) and (score.reward >= 0).all() and score.reward.std() > 0
