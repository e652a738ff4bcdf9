"""The way to Minari and back is lossless, and a missing Minari is reported with the command to install it."""

import sys

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import data
from genie_gym.data import minari as minari_export
from genie_gym.errors import DataError, MissingExtraError


def test_missing_minari_names_the_extra(recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'genie_gym\[minari\]'"):
        data.export_minari(recorded[0], "toy/test-v0")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Minari asks for an author and a link to the code
def test_export_is_lossless(recorded, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    dataset, episodes = recorded
    data.export_minari(dataset, "toy/test-v0")
    loaded = minari.load_dataset("toy/test-v0")
    assert loaded.total_episodes == len(episodes)
    assert loaded.action_space.n == 3
    for read, written in zip(loaded.iterate_episodes(), episodes, strict=True):
        np.testing.assert_array_equal(read.observations, written.frames)
        np.testing.assert_array_equal(read.actions, written.actions)
        np.testing.assert_array_equal(np.float32(read.rewards), written.rewards)
        assert (read.terminations[-1], read.truncations[-1]) == (written.terminated, written.truncated)
        assert not read.terminations[:-1].any()
    with pytest.raises(DataError, match="toy/test-v0' already"):
        data.export_minari(dataset, "toy/test-v0")
    assert minari.load_dataset("toy/test-v0").total_episodes == len(episodes)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_export_that_fails_leaves_no_part_of_it(recorded, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    dataset, _ = recorded
    buffer = minari_export._buffer

    def damaged(minari, index, episode):
        if index == 3:
            raise DataError("episode 3 cannot be read")
        return buffer(minari, index, episode)

    monkeypatch.setattr(minari_export, "_buffer", damaged)
    with pytest.raises(DataError, match="episode 3 cannot be read"):
        data.export_minari(dataset, "toy/test-v0")
    assert "toy/test-v0" not in minari.list_local_datasets()


def minari_dataset(minari, name: str, observations: np.ndarray, space: gym.Space, actions: np.ndarray) -> None:
    """Create a Minari dataset of one episode of T observations and T - 1 actions, which is not over."""
    ends = np.arange(len(actions)) == len(actions) - 1
    minari.create_dataset_from_buffers(
        name,
        [minari.data_collector.EpisodeBuffer(0, None, observations=observations, actions=actions,
                                             rewards=np.ones(len(actions)), terminations=0 * ends, truncations=ends)],
        observation_space=gym.spaces.Box(0, 255, observations.shape[1:], observations.dtype),
        action_space=space,
        jpeg_encoding=False,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_there_and_back(recorded, tmp_path, monkeypatch, header):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    dataset, episodes = recorded
    data.export_minari(dataset, "toy/test-v0")
    for _ in range(2):  # the second time replaces the first
        back = data.import_minari("toy/test-v0", tmp_path / "back", game="Toy", action_names=header["actions"])
        assert back.header["game"]["name"] == "Toy-Own" and back.header["actions"] == header["actions"]
        for read, written in zip(back.episodes(), episodes, strict=True):
            for name in ("frames", "actions", "rewards", "terminated", "truncated"):
                np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_grey_images_of_other_sizes_and_actions_from_one(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    frames = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 1), np.uint8)
    minari_dataset(minari, "grey/test-v0", frames, gym.spaces.Discrete(4, start=1), np.arange(8) % 4 + 1)
    episode = data.import_minari("grey/test-v0", tmp_path / "out")[0]
    assert episode.frames.shape == (9, 64, 64, 3)
    np.testing.assert_array_equal(episode.frames[:, ::2, ::2, 1], frames[..., 0])
    assert episode.actions.tolist() == [0, 1, 2, 3, 0, 1, 2, 3] and (episode.terminated, episode.truncated) == (
        False,
        True,
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_imported(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    with pytest.raises(DataError, match="minari download none/there-v0"):
        data.import_minari("none/there-v0", tmp_path / "out")
    minari_dataset(minari, "toy/state-v0", np.zeros((5, 4), np.float32), gym.spaces.Discrete(2), np.zeros(4, int))
    with pytest.raises(DataError, match="only uint8 images"):
        data.import_minari("toy/state-v0", tmp_path / "out")
    box = gym.spaces.Box(-1, 1, (2,))
    minari_dataset(minari, "toy/box-v0", np.zeros((5, 8, 8, 3), np.uint8), box, np.zeros((4, 2), np.float32))
    with pytest.raises(DataError, match="only discrete ones"):
        data.import_minari("toy/box-v0", tmp_path / "out")
    two = gym.spaces.Discrete(2)
    minari_dataset(minari, "toy/two-v0", np.zeros((5, 8, 8, 3), np.uint8), two, np.zeros(4, int))
    with pytest.raises(DataError, match="2 actions, and 3 names"):
        data.import_minari("toy/two-v0", tmp_path / "out", action_names=["A", "B", "C"])
    assert not (tmp_path / "out").exists()
