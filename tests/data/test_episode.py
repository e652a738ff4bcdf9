"""An episode refuses arrays of wrong types or lengths."""

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError


def arrays(frames: int = 4, actions: int = 3, rewards: int = 3) -> dict:
    return {
        "frames": np.zeros((frames, 8, 8, 3), np.uint8),
        "actions": np.zeros(actions, np.int64),
        "rewards": np.zeros(rewards, np.float32),
    }


def test_accepts_what_fits():
    episode = data.Episode(**arrays(), terminated=True)
    assert len(episode) == 4
    assert episode.info == {}
    assert episode.high_res is None
    assert data.Episode(**arrays(), high_res=np.zeros((4, 24, 24, 3), np.uint8)).high_res.shape == (4, 24, 24, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (arrays(actions=4), "4 frames need 3 actions"),
        (arrays(rewards=2), "4 frames need 3 rewards .* got 2"),
        (arrays(frames=1, actions=0, rewards=0), "at least 2 frames, got 1"),
        ({"frames": np.zeros((4, 8, 8, 3), np.float32)}, "frames must be uint8 .* got float32"),
        ({"frames": np.zeros((4, 8, 8, 1), np.uint8)}, r"shape \(T, height, width, 3\), got \(4, 8, 8, 1\)"),
        ({"frames": np.zeros((4, 8, 8), np.uint8)}, "4 dimension"),
        ({"actions": np.zeros(3, np.int32)}, "actions must be int64 .* got int32"),
        ({"actions": np.array([0, -1, 0])}, "not be negative, got -1"),
        ({"actions": [0, 0, 0]}, "numpy array, got list"),
        ({"rewards": np.array([0, np.nan, 0], np.float32)}, "rewards must be finite, got nan"),
        ({"rewards": np.array([0, 0, -np.inf], np.float32)}, "rewards must be finite, got -inf"),
        ({"rewards": np.zeros(3)}, "rewards must be float32 .* got float64"),
        (
            {"high_res": np.zeros((3, 16, 16, 3), np.uint8)},
            r"high-resolution frames must be as many .* \(3, 16, 16, 3\)",
        ),
        ({"high_res": np.zeros((4, 20, 20, 3), np.uint8)}, "a whole number of times as high and wide"),
        ({"high_res": np.zeros((4, 4, 4, 3), np.uint8)}, "a whole number of times"),
        ({"high_res": np.zeros((4, 16, 16, 3))}, "high_res must be uint8 .* got float64"),
    ],
)
def test_refuses_what_does_not_fit(change: dict, words: str):
    with pytest.raises(DataError, match=words):
        data.Episode(**arrays() | change)
