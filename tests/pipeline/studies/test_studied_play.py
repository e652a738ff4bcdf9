"""Where studied play comes from: held-out episodes under the model's actions, or starts that are dreamed on."""

import numpy as np
import pytest
import torch

from genie_gym import data
from genie_gym.errors import ConfigError, DataError
from genie_gym.pipeline.studies import dreamed_play, recorded_play
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> data.Recording:
    return data.Recording(record(tmp_path_factory.mktemp("toy"), 6, 30))


def test_recorded_play_is_held_out(recording):
    play = recorded_play(untrained(), recording, pieces=9, length=7)
    assert play.frames.shape == (9, 7, 64, 64, 3) and play.actions.shape == (9, 6) and not play.dreamed
    held_out = [recording[int(index)] for index in data.split(recording)[1]]
    for frames, actions in zip(play.frames, play.actions, strict=True):
        assert any(
            np.array_equal(frames, episode.frames[i : i + 7]) and np.array_equal(actions, episode.actions[i : i + 6])
            for episode in held_out
            for i in range(len(episode) - 6)
        )


def test_a_model_of_latent_actions_is_studied_under_those_it_finds(recording):
    latent = untrained_latent()
    play = recorded_play(latent, recording, pieces=4, length=5)
    pictures = torch.from_numpy(play.frames.astype(np.float32) / 255).permute(0, 1, 4, 2, 3)
    assert play.actions.tolist() == latent.model.latent_actions.codes(pictures).tolist()
    assert len(np.unique(play.actions)) > 1


def test_dreamed_play_begins_with_real_starts_and_goes_on():
    checkpoint = untrained()
    play = dreamed_play(checkpoint, pieces=8, length=9, seed=3)  # more pieces than starts
    assert play.frames.shape == (8, 9, 64, 64, 3) and play.actions.shape == (8, 8) and play.dreamed
    starts = {
        frames.numpy().tobytes(): actions.tolist() for frames, actions in zip(*checkpoint.starts.values(), strict=True)
    }
    for frames, actions in zip(play.frames, play.actions, strict=True):
        assert starts[frames[:4].tobytes()] == actions[:3].tolist()
    np.testing.assert_array_equal(dreamed_play(checkpoint, 8, 9, seed=3).frames, play.frames)
    assert not np.array_equal(dreamed_play(checkpoint, 8, 9, seed=4).frames, play.frames)


def test_no_more_than_the_starts_is_no_dream():
    play = dreamed_play(untrained(), pieces=2, length=3)
    assert play.frames.shape == (2, 3, 64, 64, 3) and play.actions.shape == (2, 2) and not play.dreamed


def test_refuses_what_does_not_fit(recording):
    with pytest.raises(ConfigError, match="give a recording of the model's own game"):
        recorded_play(untrained("Airstriker-Genesis"), recording, 2, 5)
    with pytest.raises(DataError, match="no window of 40 frames"):
        recorded_play(untrained(), recording, 2, 40)
