"""Windows are exact slices of the episodes, sampled uniformly, and complete when iterated in order."""

import numpy as np
import pytest

from genie_gym import data
from genie_gym.data import sequences as sequences
from genie_gym.errors import DataError

LENGTH = 16


def check_window(batch: dict, row: int, episodes: list[data.Episode]) -> tuple[int, int]:
    """Compare one window with the episode that its pixels name; return the episode and the start."""
    start, seed = (int(value) for value in batch["frames"][row, 0, 0, 0, :2])
    episode, length = episodes[seed], batch["frames"].shape[1]
    np.testing.assert_array_equal(batch["frames"][row], episode.frames[start : start + length])
    np.testing.assert_array_equal(batch["actions"][row], episode.actions[start : start + length - 1])
    np.testing.assert_array_equal(batch["rewards"][row], episode.rewards[start : start + length - 1])
    ended = [episode.terminated and step == len(episode) - 2 for step in range(start, start + length - 1)]
    np.testing.assert_array_equal(batch["terminated"][row], ended)
    return seed, start


@pytest.mark.parametrize("in_memory", [False, True])
def test_samples_are_exact_slices(recorded, in_memory):
    dataset, episodes = recorded
    clips = data.SequenceDataset(dataset, LENGTH, in_memory=in_memory)
    batch = clips.sample(np.random.default_rng(0), 64)
    assert {key: (value.shape, value.dtype.name) for key, value in batch.items()} == {
        "frames": ((64, 16, 64, 64, 3), "uint8"),
        "actions": ((64, 15), "int64"),
        "rewards": ((64, 15), "float32"),
        "terminated": ((64, 15), "bool"),
    }
    for row in range(64):
        check_window(batch, row, episodes)


def test_every_window_is_equally_likely(recorded):
    dataset, episodes = recorded
    clips = data.SequenceDataset(dataset, LENGTH, in_memory=True)
    windows = {(seed, start) for seed, e in enumerate(episodes) for start in range(len(e) - LENGTH + 1)}
    assert len(clips) == len(windows)
    draws, rng = 60 * len(windows), np.random.default_rng(0)
    counts = dict.fromkeys(windows, 0)
    for _ in range(draws // 60):
        batch = clips.sample(rng, 60)
        for start, seed in batch["frames"][:, 0, 0, 0, :2].tolist():
            counts[seed, start] += 1
    chi_square = sum((count - 60) ** 2 / 60 for count in counts.values())
    freedom = len(windows) - 1
    assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)


def test_overhang_samples_terminal_steps_as_often_as_others(recorded):
    """With overhang = length - 2 the last window is as likely as all length - 1 windows with any other step."""
    dataset, episodes = recorded
    clips, rng = data.SequenceDataset(dataset, LENGTH, in_memory=True), np.random.default_rng(0)
    true = sum(e.terminated for e in episodes) / sum(len(e) - 1 for e in episodes)
    lengths = np.array([len(e) for e in episodes])
    for length in (4, 12):
        ended, early = [], []
        for _ in range(20):
            batch = clips.sample(rng, 300, length, overhang=length - 2)
            check_window(batch, 0, episodes)
            starts, seeds = batch["frames"][:, 0, 0, 0, :2].T.astype(int)
            ended.append(batch["terminated"].mean())
            early.append((starts < lengths[seeds] - length).mean())
        assert batch["frames"].shape[1] == length
        assert np.mean(ended) == pytest.approx(true, rel=0.15)
        assert np.mean(early) == pytest.approx((lengths - length).sum() / (lengths - 1).sum(), rel=0.05)
        assert clips.sample(rng, 2000, length)["terminated"].mean() < 0.5 * true


def test_same_generator_same_batch(recorded):
    clips = data.SequenceDataset(recorded[0], LENGTH)
    one, other = (clips.sample(np.random.default_rng(5), 8) for _ in range(2))
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


def test_in_order_covers_all_without_overlap(recorded):
    dataset, episodes = recorded
    clips = data.SequenceDataset(dataset, LENGTH)
    batches = list(clips.in_order(4))
    found = [check_window(batch, row, episodes) for batch in batches for row in range(len(batch["frames"]))]
    wanted = []
    for seed, episode in enumerate(episodes):
        starts = range(len(episode) - LENGTH, -1, -LENGTH)  # from the end, where the episode's outcome is
        wanted += [(seed, start) for start in reversed(starts)]
    assert found == wanted
    assert [len(batch["frames"]) for batch in batches[:-1]] == [4] * (len(batches) - 1)


def test_a_few_windows_are_evenly_spaced(recorded):
    clips = data.SequenceDataset(recorded[0], LENGTH)
    every = [frames for batch in clips.in_order(4) for frames in batch["frames"]]
    few = [frames for batch in clips.in_order(4, at_most=5) for frames in batch["frames"]]
    chosen = np.round(np.linspace(0, len(every) - 1, 5)).astype(int)
    np.testing.assert_array_equal(np.stack(few), np.stack(every)[chosen])
    assert sum(len(batch["frames"]) for batch in clips.in_order(4, at_most=1000)) == len(every)


def test_indices_choose_episodes(recorded):
    dataset, episodes = recorded
    batch = data.SequenceDataset(dataset, LENGTH, [1, 4]).sample(np.random.default_rng(0), 50)
    assert {check_window(batch, row, episodes)[0] for row in range(50)} == {1, 4}


def test_without_terminal_steps(recorded):
    dataset, episodes = recorded
    clips = data.SequenceDataset(dataset, 8, include_terminal=False)
    batch = clips.sample(np.random.default_rng(0), 300)
    assert not batch["terminated"].any()
    assert len(clips) == sum(len(e) - e.terminated - 7 for e in episodes)


def test_terminal_steps_are_included(recorded):
    batch = data.SequenceDataset(recorded[0], 20, [0]).sample(np.random.default_rng(0), 1)
    assert batch["terminated"][0].tolist() == [False] * 18 + [True]


def test_too_long_windows(recorded):
    with pytest.raises(DataError, match=r"no window of 64 frames fits.*has 55 frames"):
        data.SequenceDataset(recorded[0], 64)
    with pytest.raises(DataError, match="at least 2 frames, got length 1"):
        data.SequenceDataset(recorded[0], 1)


@pytest.mark.parametrize(("name", "value"), [("_free_memory", lambda: 5_000_000), ("MAX_IN_MEMORY", 2_764_799)])
def test_without_room_frames_are_read_from_the_disk(recorded, monkeypatch, name, value):
    assert data.SequenceDataset(recorded[0], LENGTH, in_memory=True)._loaded is not None
    monkeypatch.setattr(sequences, name, value)  # of 2,764,800 bytes
    clips, rng = data.SequenceDataset(recorded[0], LENGTH, in_memory=True), np.random.default_rng(0)
    assert clips._loaded is None and clips.sample(rng, 2)["frames"].shape[:2] == (2, LENGTH)
