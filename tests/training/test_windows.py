"""Pieces of play for a checkpoint and lengths of windows."""

from pathlib import Path

import numpy as np
import pytest

from genie_gym.data import EpisodeDataset, EpisodeWriter
from genie_gym.errors import DataError
from genie_gym.training.presets import PRESETS
from genie_gym.training.windows import check_steps, draw_initial_contexts, usable_lengths
from genie_gym.training.world_model import train
from tests.toy_play import record


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> EpisodeDataset:
    return EpisodeDataset(record(Path(tmp_path_factory.mktemp("windows")), 3, 30))


def test_starts_are_pieces_of_the_episodes_half_of_them_beginnings(recording):
    starts = draw_initial_contexts(recording, np.array([0, 2]), 5, count=10, context=3)
    frames, actions = starts["frames"].numpy(), starts["actions"].numpy()
    assert frames.shape == (10, 3, 64, 64, 3) and actions.shape == (10, 2)
    pieces = {}
    for index in (0, 2):
        episode = recording[index]
        for start in range(len(episode) - 2):
            pieces[episode.frames[start : start + 3].tobytes()] = start, episode.actions[start : start + 2].tolist()
    found = [pieces[one.tobytes()] for one in frames]
    assert [prev_actions for _, prev_actions in found] == actions.tolist()
    assert [start for start, _ in found[5:]] == [0] * 5
    again = draw_initial_contexts(recording, np.array([0, 2]), 5, count=10, context=3)
    assert (again["frames"] == starts["frames"]).all()


def test_dreams_seldom_begin_on_a_blank_screen(tmp_path):
    record(tmp_path / "play", 1, 300)
    episode = EpisodeDataset(tmp_path / "play")[0]
    episode.frames[np.arange(len(episode)) % 20 < 10] = 0  # half of them are blank
    with EpisodeWriter(tmp_path / "blank", EpisodeDataset(tmp_path / "play").header) as writer:
        writer.append(episode)
    starts = draw_initial_contexts(EpisodeDataset(tmp_path / "blank"), np.array([0]), 0, count=200, context=3)
    drawn = starts["frames"][:100]
    assert 0.1 < (drawn[:, -1] == 0).all((1, 2, 3)).float().mean() < 0.4  # of two, blank in a quarter of all cases


def test_windows_fit_into_the_longest_episode():
    tiny = PRESETS["tiny-transformer"]  # clips of 8 and 32 frames, from up to 8 frames later
    assert usable_lengths(tiny, 100) == ((8, 32), 40)
    assert usable_lengths(tiny, 35) == ((8, 32), 35)
    assert usable_lengths(tiny, 20) == ((8,), 16)
    assert usable_lengths(tiny, 5) == ((8,), 8)  # for Clips to complain of


def test_episodes_too_short_to_begin_with_are_left_out(tmp_path):
    record(tmp_path / "play", 3, 30)
    record(tmp_path / "play", 9, 1, first=3)  # of two frames each
    recording = EpisodeDataset(tmp_path / "play")
    starts = draw_initial_contexts(recording, np.arange(len(recording)), 0)
    assert sorted(set(recording.lengths)) == [2, 31] and starts["frames"].shape == (64, 4, 64, 64, 3)


@pytest.mark.parametrize(
    ("action", "reward", "words"),
    [(4, 0.0, "the action 4, .* 0 to 3"), (-1, 0.0, "the action -1"), (0, np.nan, "the reward nan at step 7")],
)
def test_steps_that_no_model_can_learn_are_refused_before_anything_is_trained(
    recording, tmp_path, monkeypatch, action, reward, words
):
    steps = EpisodeDataset.steps

    def wrong(self: EpisodeDataset, index: int) -> tuple[np.ndarray, np.ndarray, bool]:
        actions, rewards, terminated = steps(self, index)
        if index == 1:
            actions[7], rewards[7] = action, reward
        return actions, rewards, terminated

    monkeypatch.setattr(EpisodeDataset, "steps", wrong)
    with pytest.raises(DataError, match=words):
        train("Toy-Numpy", data=recording.folder, out=tmp_path / "out", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"name": "../../x"}, {"name": 3}, {"actions": [{"meaning": 3}]}, {"fps": "fast"}])
def test_a_game_that_no_checkpoint_could_describe_is_refused(recording, monkeypatch, change):
    monkeypatch.setitem(recording.header, "game", recording.header["game"] | change)
    with pytest.raises(DataError, match="does not describe a game"):
        check_steps(recording)
