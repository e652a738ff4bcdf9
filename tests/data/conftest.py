"""Fixtures: small datasets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genie_gym import data

HEADER = {"game": {"name": "Toy-Numpy"}, "actions": ["NOOP", "LEFT", "RIGHT"], "policy": "random", "seed": 0}


def _make_episode(seed: int, length: int = 40, *, terminated: bool = True) -> data.Episode:
    """Return an episode of noise, with the index of the frame and the seed in its first pixel."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (length, 64, 64, 3), np.uint8)
    frames[:, 0, 0, 0], frames[:, 0, 0, 1] = np.arange(length) % 256, seed
    actions = rng.integers(0, 3, length - 1)
    rewards = rng.normal(size=length - 1).astype(np.float32)
    return data.Episode(frames, actions, rewards, terminated, not terminated, {"id": f"toy-{seed:03d}", "seed": seed})


def _assert_same(one: data.Episode, other: data.Episode) -> None:
    for name in ("frames", "actions", "rewards"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert (one.terminated, one.truncated, one.info) == (other.terminated, other.truncated, other.info)


@pytest.fixture
def header() -> dict:
    return HEADER.copy()


@pytest.fixture
def make_episode() -> Callable[..., data.Episode]:
    return _make_episode


@pytest.fixture
def assert_same() -> Callable[[data.Episode, data.Episode], None]:
    return _assert_same


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[data.EpisodeDataset, list[data.Episode]]:
    """Return a dataset of six episodes of different lengths, and the episodes as written."""
    episodes = [_make_episode(seed, 20 + 7 * seed, terminated=seed % 2 == 0) for seed in range(6)]
    with data.EpisodeWriter(tmp_path / "Toy-Numpy", HEADER) as writer:
        for episode in episodes:
            writer.append(episode)
    return data.EpisodeDataset(tmp_path / "Toy-Numpy"), episodes
