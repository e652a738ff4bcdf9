"""Clips come from held-out episodes under the model's actions, or are imagined from initial contexts."""

import numpy as np
import pytest
import torch

from genie_gym import data
from genie_gym.analysis.samples import imagined_clips, recorded_clips
from genie_gym.errors import ConfigError, DataError
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> data.EpisodeDataset:
    return data.EpisodeDataset(record(tmp_path_factory.mktemp("toy"), 6, 30))


def test_recorded_clips_are_held_out(dataset):
    clips = recorded_clips(untrained(), dataset, number=9, length=7)
    assert clips.frames.shape == (9, 7, 64, 64, 3) and clips.actions.shape == (9, 6) and not clips.imagined
    held_out = [dataset[int(index)] for index in data.split(dataset)[1]]
    for frames, actions in zip(clips.frames, clips.actions, strict=True):
        assert any(
            np.array_equal(frames, episode.frames[i : i + 7]) and np.array_equal(actions, episode.actions[i : i + 6])
            for episode in held_out
            for i in range(len(episode) - 6)
        )


def test_a_latent_action_model_is_given_the_actions_it_infers(dataset):
    latent = untrained_latent()
    clips = recorded_clips(latent, dataset, number=4, length=5)
    images = torch.from_numpy(clips.frames.astype(np.float32) / 255).permute(0, 1, 4, 2, 3)
    assert clips.actions.tolist() == latent.model.latent_actions.codes(images).tolist()
    assert len(np.unique(clips.actions)) > 1


def test_imagined_clips_continue_initial_contexts():
    checkpoint = untrained()
    clips = imagined_clips(checkpoint, number=8, length=9, seed=3)  # more clips than contexts
    assert clips.frames.shape == (8, 9, 64, 64, 3) and clips.actions.shape == (8, 8) and clips.imagined
    contexts = {
        frames.numpy().tobytes(): actions.tolist()
        for frames, actions in zip(*checkpoint.initial_contexts.values(), strict=True)
    }
    for frames, actions in zip(clips.frames, clips.actions, strict=True):
        assert contexts[frames[:4].tobytes()] == actions[:3].tolist()
    np.testing.assert_array_equal(imagined_clips(checkpoint, 8, 9, seed=3).frames, clips.frames)
    assert not np.array_equal(imagined_clips(checkpoint, 8, 9, seed=4).frames, clips.frames)


def test_clips_within_the_contexts_are_not_imagined():
    clips = imagined_clips(untrained(), number=2, length=3)
    assert clips.frames.shape == (2, 3, 64, 64, 3) and clips.actions.shape == (2, 2) and not clips.imagined


def test_refuses_what_does_not_fit(dataset):
    with pytest.raises(ConfigError, match="give a dataset of the model's own game"):
        recorded_clips(untrained("Airstriker-Genesis"), dataset, 2, 5)
    with pytest.raises(DataError, match="no window of 40 frames"):
        recorded_clips(untrained(), dataset, 2, 40)
