"""A mixture has the windows of its parts, sampled by weight and iterated one part after the other."""

from pathlib import Path

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError

LENGTH = 8


@pytest.fixture
def two(recorded, make_episode, header, tmp_path: Path) -> list[data.EpisodeDataset]:
    """Return datasets of six episodes with seeds 0 to 5, and of three with seeds 100 to 102."""
    with data.EpisodeWriter(tmp_path / "more", header) as writer:
        for seed in range(100, 103):
            writer.append(make_episode(seed, 15))
    return [recorded[0], data.EpisodeDataset(tmp_path / "more")]


def seeds(batch: dict[str, np.ndarray]) -> np.ndarray:
    """Return the episode of each window, which its second pixel value encodes."""
    return batch["frames"][:, 0, 0, 0, 1]


@pytest.mark.parametrize(("weights", "expected"), [((3, 1), 0.25), ((1, 0), 0.0), ((0.0, 0.2), 1.0), (None, None)])
def test_windows_are_sampled_by_weight(two, weights, expected):
    parts = [data.SequenceDataset(dataset, LENGTH, in_memory=True) for dataset in two]
    joined, rng = data.MixtureDataset(parts, weights), np.random.default_rng(0)
    assert len(joined) == sum(len(part) for part in parts) and joined.length == LENGTH
    if expected is None:
        expected = 24 / (24 + len(parts[0]))  # three episodes with 15 - 8 + 1 windows each
    drawn = np.concatenate([seeds(joined.sample(rng, 4)) for _ in range(600)])
    assert len(drawn) == 2400
    assert (drawn >= 100).mean() == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 2400))


def test_windows_are_those_of_the_parts(two, make_episode):
    joined = data.MixtureDataset([data.SequenceDataset(dataset, LENGTH) for dataset in two], (1, 1))
    batch = joined.sample(np.random.default_rng(1), 12, 5, overhang=3)
    assert batch["frames"].shape == (12, 5, 64, 64, 3)
    for row in range(12):
        start, seed = (int(value) for value in batch["frames"][row, 0, 0, 0, :2])
        episode = make_episode(seed, 15 if seed >= 100 else 20 + 7 * seed)
        np.testing.assert_array_equal(batch["frames"][row], episode.frames[start : start + 5])
        np.testing.assert_array_equal(batch["actions"][row], episode.actions[start : start + 4])


def test_in_order_reads_all_parts(two):
    parts = [data.SequenceDataset(dataset, LENGTH) for dataset in two]
    read = [frames for batch in data.MixtureDataset(parts).in_order(4) for frames in batch["frames"]]
    expected = [frames for part in parts for batch in part.in_order(1) for frames in batch["frames"]]
    np.testing.assert_array_equal(np.stack(read), np.stack(expected))


def test_a_few_windows_of_each_part(two):
    parts = [data.SequenceDataset(dataset, LENGTH) for dataset in two]
    read = [frames for batch in data.MixtureDataset(parts).in_order(4, at_most=4) for frames in batch["frames"]]
    expected = [frames for part in parts for batch in part.in_order(1, at_most=2) for frames in batch["frames"]]
    assert len(read) == 4
    np.testing.assert_array_equal(np.stack(read), np.stack(expected))


def test_what_does_not_fit_together_is_refused(two, make_episode, header, tmp_path):
    clips = [data.SequenceDataset(dataset, LENGTH) for dataset in two]
    with pytest.raises(DataError, match="at least one"):
        data.MixtureDataset([])
    for weights in [(1,), (0, 0), (-1, 2)]:
        with pytest.raises(DataError, match="2 datasets need as many weights"):
            data.MixtureDataset(clips, weights)
    with pytest.raises(DataError, match=r"same window lengths, got \[8, 9\]"):
        data.MixtureDataset([clips[0], data.SequenceDataset(two[1], 9)])
    with data.EpisodeWriter(tmp_path / "other", header | {"actions": ["NOOP", "LEFT", "JUMP"]}) as writer:
        writer.append(make_episode(1, 15))
    with pytest.raises(DataError, match="same actions"):
        data.MixtureDataset([clips[0], data.SequenceDataset(data.EpisodeDataset(tmp_path / "other"), LENGTH)])
