"""The export to Minari is lossless, and a missing Minari is reported with the command to install it."""

import sys

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
