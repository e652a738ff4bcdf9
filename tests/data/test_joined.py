"""Several recordings as one: windows are those of the parts, drawn by share, read one part after the other."""

from pathlib import Path

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError

LENGTH = 8


@pytest.fixture
def two(recorded, make_episode, header, tmp_path: Path) -> list[data.Recording]:
    """Six episodes with seeds 0 to 5, and three with seeds 100 to 102."""
    with data.RecordingWriter(tmp_path / "more", header) as writer:
        for seed in range(100, 103):
            writer.append(make_episode(seed, 15))
    return [recorded[0], data.Recording(tmp_path / "more")]


def seeds(batch: dict[str, np.ndarray]) -> np.ndarray:
    """Which episode each window is from: its second pixel value says so."""
    return batch["frames"][:, 0, 0, 0, 1]


@pytest.mark.parametrize(("shares", "expected"), [((3, 1), 0.25), ((1, 0), 0.0), ((0.0, 0.2), 1.0), (None, None)])
def test_windows_are_drawn_by_share(two, shares, expected):
    parts = [data.Clips(recording, LENGTH, in_memory=True) for recording in two]
    joined, rng = data.JoinedClips(parts, shares), np.random.default_rng(0)
    assert len(joined) == sum(len(part) for part in parts) and joined.length == LENGTH
    if expected is None:
        expected = 24 / (24 + len(parts[0]))  # three episodes with 15 - 8 + 1 windows each
    drawn = np.concatenate([seeds(joined.sample(rng, 4)) for _ in range(600)])
    assert len(drawn) == 2400
    assert (drawn >= 100).mean() == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 2400))


def test_windows_are_those_of_the_parts(two, make_episode):
    joined = data.JoinedClips([data.Clips(recording, LENGTH) for recording in two], (1, 1))
    batch = joined.sample(np.random.default_rng(1), 12, 5, overhang=3)
    assert batch["frames"].shape == (12, 5, 64, 64, 3)
    for row in range(12):
        start, seed = (int(value) for value in batch["frames"][row, 0, 0, 0, :2])
        episode = make_episode(seed, 15 if seed >= 100 else 20 + 7 * seed)
        np.testing.assert_array_equal(batch["frames"][row], episode.frames[start : start + 5])
        np.testing.assert_array_equal(batch["actions"][row], episode.actions[start : start + 4])


def test_in_order_reads_all_parts(two):
    parts = [data.Clips(recording, LENGTH) for recording in two]
    read = [frames for batch in data.JoinedClips(parts).in_order(4) for frames in batch["frames"]]
    expected = [frames for part in parts for batch in part.in_order(1) for frames in batch["frames"]]
    np.testing.assert_array_equal(np.stack(read), np.stack(expected))


def test_what_does_not_fit_together_is_refused(two, make_episode, header, tmp_path):
    clips = [data.Clips(recording, LENGTH) for recording in two]
    with pytest.raises(DataError, match="at least one"):
        data.JoinedClips([])
    for shares in [(1,), (0, 0), (-1, 2)]:
        with pytest.raises(DataError, match="2 recordings need as many shares"):
            data.JoinedClips(clips, shares)
    with pytest.raises(DataError, match=r"same window lengths, got \[8, 9\]"):
        data.JoinedClips([clips[0], data.Clips(two[1], 9)])
    with data.RecordingWriter(tmp_path / "other", header | {"actions": ["NOOP", "LEFT", "JUMP"]}) as writer:
        writer.append(make_episode(1, 15))
    with pytest.raises(DataError, match="same actions"):
        data.JoinedClips([clips[0], data.Clips(data.Recording(tmp_path / "other"), LENGTH)])
