"""Maps of uncertainty against one prediction after the other; the paper's claims on the trained model that ships."""

import numpy as np
import pytest
import torch

from genie_gym.models.uncertainty import token_entropy
from genie_gym.pipeline.studies import (
    Play,
    chance_to_exceed,
    largest_changes,
    reward_maps,
    strange_rewards,
    uncertainty_maps,
)
from genie_gym.pipeline.studies.codes import STILL
from genie_gym.pipeline.studies.doubts import STRANGE
from genie_gym.pipeline.tokens import encode
from genie_gym.rewards import AutoExplore
from tests.conftest import untrained


@pytest.fixture(scope="module")
def model():
    return untrained(window=6).model


@pytest.fixture(scope="module")
def play() -> Play:
    rng = np.random.default_rng(0)
    return Play(rng.integers(0, 256, (10, 5, 64, 64, 3), np.uint8), rng.integers(0, 4, (10, 4)))


@torch.inference_mode()
def test_a_map_is_what_the_model_expects_of_a_frame_from_those_before_it(model, play):
    maps, wrong = uncertainty_maps(model, play.frames, play.actions)
    tokens = torch.from_numpy(encode(model, play.frames))
    assert maps.shape == wrong.shape == (10, 4, 4, 4)
    for clip, t in ((0, 1), (4, 3), (9, 4)):
        past, draft = tokens[clip : clip + 1, :t], torch.full((1, 1, 16), model.dynamics.hidden)
        led = torch.tensor([[-1, *play.actions[clip, :t]]])
        logits = model.dynamics.to_logits(model.dynamics.features(past, draft, led)[:, -1])
        np.testing.assert_allclose(maps[clip, t - 1].ravel(), token_entropy(logits)[0].numpy(), atol=1e-4)
        assert wrong[clip, t - 1].ravel().tolist() == (logits.argmax(-1) != tokens[clip, t])[0].tolist()
    assert maps.std() > 1e-3


def test_every_chance_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    for values, others in (
        (rng.integers(0, 6, 30), rng.integers(2, 9, 50)),
        (rng.normal(size=(4, 5)), rng.normal(size=7)),
    ):
        pairs = [(a > b) + (a == b) / 2 for a in values.flat for b in others.flat]
        assert chance_to_exceed(values, others) == pytest.approx(np.mean(pairs))
    assert np.isnan(chance_to_exceed(np.empty(0), np.ones(3))) and np.isnan(chance_to_exceed(np.ones(3), np.empty(0)))


def test_strange_pictures_are_paid_as_autoexplore_pays_them(model, play):
    found = strange_rewards(model, play)
    assert tuple(found) == STRANGE
    reward, actions = AutoExplore(model), torch.from_numpy(play.actions)
    frames = torch.from_numpy(play.frames)
    for name, pictures in (("play", frames), ("negative", 255 - frames), ("upside down", frames.flip(2))):
        np.testing.assert_allclose(found[name], reward.score(pictures, actions).reward.numpy(), rtol=1e-5)
    assert all(rewards.shape == (10,) for rewards in found.values())
    assert not np.allclose(found["noise"], strange_rewards(model, play, seed=1)["noise"])


def test_a_reward_map_is_autoexplores_of_the_frames_before(model):
    rng = np.random.default_rng(1)
    frames, actions = rng.integers(0, 256, (2, 7, 64, 64, 3), np.uint8), rng.integers(0, 4, (2, 6))
    maps = reward_maps(model, frames, actions)
    assert maps.shape == (2, 3, 4, 4)  # frames 4, 5 and 6
    for i in range(3):
        shown, taken = (torch.from_numpy(x) for x in (frames[:, i : i + 5], actions[:, i : i + 4]))
        np.testing.assert_allclose(maps[:, i], AutoExplore(model).score(shown, taken).map.numpy(), rtol=1e-5)


def test_a_model_that_looks_back_little_is_asked_less_far_ahead(play):
    assert strange_rewards(untrained(window=3).model, play)["play"].shape == (10,)


def test_the_model_is_unsure_where_it_is_wrong(shipped, real_play):
    maps, wrong = uncertainty_maps(shipped.model, real_play.frames, real_play.actions)
    assert chance_to_exceed(maps[wrong], maps[~wrong]) > 0.7


def test_further_ahead_the_model_is_unsure_where_things_move(shipped, real_play):
    """Figure 6. One frame ahead it is not so: what moves as it did, or as it is told to, is no surprise."""
    maps = reward_maps(shipped.model, real_play.frames, real_play.actions, horizon=2)
    moving = largest_changes(real_play.frames, shipped.model.tokenizer.config.side, apart=2)[:, -1:] > STILL
    assert chance_to_exceed(maps[moving], maps[~moving]) > 0.55


def test_the_reward_is_higher_for_what_the_model_has_never_seen(shipped, real_play):
    actions = np.concatenate([real_play.actions, real_play.actions[:, :1]], 1)  # AutoExplore asks one frame further
    found = strange_rewards(shipped.model, Play(real_play.frames, actions))
    for name in STRANGE[1:]:
        assert chance_to_exceed(found[name], found["play"]) > 0.9, name
