"""Uncertainty maps against single predictions; the paper's claims on the shipped model."""

import numpy as np
import pytest
import torch

from genie_gym.analysis.codebook import STATIC_LEVELS, patch_changes
from genie_gym.analysis.samples import SampledClips
from genie_gym.analysis.uncertainty import (
    FRAME_KINDS,
    IN_DISTRIBUTION,
    auroc,
    autoexplore_maps,
    next_frame_uncertainty,
    out_of_distribution_rewards,
)
from genie_gym.models.uncertainty import token_entropy
from genie_gym.rewards import AutoExplore
from genie_gym.world_model.batched import encode_clips
from tests.conftest import untrained


@pytest.fixture(scope="module")
def model():
    return untrained(window=6).model


@pytest.fixture(scope="module")
def clips() -> SampledClips:
    rng = np.random.default_rng(0)
    return SampledClips(rng.integers(0, 256, (10, 5, 64, 64, 3), np.uint8), rng.integers(0, 4, (10, 4)))


@torch.inference_mode()
def test_uncertainty_is_that_of_predicting_each_frame_from_those_before_it(model, clips):
    found = next_frame_uncertainty(model, clips.frames, clips.actions)
    tokens = torch.from_numpy(encode_clips(model, clips.frames))
    assert found.entropy.shape == found.wrong.shape == (10, 4, 4, 4)
    for clip, t in ((0, 1), (4, 3), (9, 4)):
        past, draft = tokens[clip : clip + 1, :t], torch.full((1, 1, 16), model.dynamics.mask_token)
        prev_actions = torch.tensor([[-1, *clips.actions[clip, :t]]])
        logits = model.dynamics.to_logits(model.dynamics.features(past, draft, prev_actions)[:, -1])
        np.testing.assert_allclose(found.entropy[clip, t - 1].ravel(), token_entropy(logits)[0].numpy(), atol=1e-4)
        assert found.wrong[clip, t - 1].ravel().tolist() == (logits.argmax(-1) != tokens[clip, t])[0].tolist()
    assert found.entropy.std() > 1e-3


def test_auroc_is_the_share_of_all_pairs():
    rng = np.random.default_rng(0)
    for values, others in (
        (rng.integers(0, 6, 30), rng.integers(2, 9, 50)),
        (rng.normal(size=(4, 5)), rng.normal(size=7)),
    ):
        pairs = [(a > b) + (a == b) / 2 for a in values.flat for b in others.flat]
        assert auroc(values, others) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(np.empty(0), np.ones(3))) and np.isnan(auroc(np.ones(3), np.empty(0)))


def test_out_of_distribution_rewards_are_those_of_autoexplore(model, clips):
    found = out_of_distribution_rewards(model, clips)
    assert tuple(found) == FRAME_KINDS
    reward, actions = AutoExplore(model), torch.from_numpy(clips.actions)
    frames = torch.from_numpy(clips.frames)
    for name, inputs in zip(FRAME_KINDS[:3], (frames, 255 - frames, frames.flip(2)), strict=True):
        np.testing.assert_allclose(found[name], reward.score(inputs, actions).reward.numpy(), rtol=1e-5)
    assert all(rewards.shape == (10,) for rewards in found.values())
    assert not np.allclose(found["noise"], out_of_distribution_rewards(model, clips, seed=1)["noise"])


def test_autoexplore_maps_are_those_of_every_window(model):
    rng = np.random.default_rng(1)
    frames, actions = rng.integers(0, 256, (2, 7, 64, 64, 3), np.uint8), rng.integers(0, 4, (2, 6))
    maps = autoexplore_maps(model, frames, actions)
    assert maps.shape == (2, 3, 4, 4)  # frames 4, 5 and 6
    for i in range(3):
        shown, taken = (torch.from_numpy(x) for x in (frames[:, i : i + 5], actions[:, i : i + 4]))
        np.testing.assert_allclose(maps[:, i], AutoExplore(model).score(shown, taken).map.numpy(), rtol=1e-5)


def test_a_short_window_shortens_the_horizon(clips):
    assert out_of_distribution_rewards(untrained(window=3).model, clips)[IN_DISTRIBUTION].shape == (10,)


def test_the_model_is_uncertain_where_it_is_wrong(shipped, real_clips):
    found = next_frame_uncertainty(shipped.model, real_clips.frames, real_clips.actions)
    assert auroc(found.entropy[found.wrong], found.entropy[~found.wrong]) > 0.7


def test_further_ahead_the_model_is_uncertain_where_things_move(shipped, real_clips):
    """Figure 6. One frame ahead it is not so: what keeps moving, or moves as the action says, is predictable."""
    maps = autoexplore_maps(shipped.model, real_clips.frames, real_clips.actions, horizon=2)
    moving = patch_changes(real_clips.frames, shipped.model.tokenizer.config.side, offset=2)[:, -1:] > STATIC_LEVELS
    assert auroc(maps[moving], maps[~moving]) > 0.55


def test_the_reward_is_higher_for_what_the_model_has_never_seen(shipped, real_clips):
    actions = np.concatenate([real_clips.actions, real_clips.actions[:, :1]], 1)  # one more than there are
    found = out_of_distribution_rewards(shipped.model, SampledClips(real_clips.frames, actions))
    for name in FRAME_KINDS[1:]:
        assert auroc(found[name], found[IN_DISTRIBUTION]) > 0.9, name
