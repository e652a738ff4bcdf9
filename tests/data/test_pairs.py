"""Pairs show the same crop at both resolutions, from all episodes that have high-resolution frames."""

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError
from genie_gym.utils.images import enlarge

HEADER = {"game": {"name": "Toy-Numpy"}, "actions": ["NOOP"]}
LENGTHS = (5, 9, 20, 4)


def frame_of(episode: int, t: int) -> np.ndarray:
    """Return uint8 (8, 8, 3): red encodes the episode, green the frame, blue the pixel."""
    frame = np.empty((8, 8, 3), np.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = episode, t, np.arange(64).reshape(8, 8)
    return frame


@pytest.fixture
def dataset(tmp_path) -> data.EpisodeDataset:
    """Return four episodes, all but number 1 with high-resolution frames, which are the frames enlarged."""
    with data.EpisodeWriter(tmp_path, HEADER) as writer:
        for i, length in enumerate(LENGTHS):
            frames = np.stack([frame_of(i, t) for t in range(length)])
            steps = np.zeros(length - 1, np.int64), np.zeros(length - 1, np.float32)
            high_res = enlarge(frames, 3) if i != 1 else None
            writer.append(data.Episode(frames, *steps, info={"id": f"{i}"}, high_res=high_res))
    return data.EpisodeDataset(tmp_path)


def origins(images: np.ndarray) -> list[tuple[int, int]]:
    return [(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in images]


def test_crops_match_and_come_from_every_frame(dataset):
    pairs = data.FramePairs(dataset)
    assert (len(pairs), pairs.num_episodes, pairs.side, pairs.scale) == (5 + 20 + 4, 3, 8, 3)
    low, high = pairs.sample(np.random.default_rng(0), 600, crop=4)
    assert low.shape == (600, 4, 4, 3) and high.shape == (600, 12, 12, 3)
    np.testing.assert_array_equal(high, enlarge(low, 3))
    expected = {(i, t) for i in (0, 2, 3) for t in range(LENGTHS[i])}
    assert set(origins(low)) == expected
    corners = set(low[:, 0, 0, 2].tolist())
    assert corners == {8 * y + x for y in range(5) for x in range(5)}  # every position where a crop fits


def test_frames_are_drawn_equally_often(dataset):
    low, _ = data.FramePairs(dataset).sample(np.random.default_rng(0), 2900)
    assert low.shape[1:] == (8, 8, 3)  # whole frames by default
    _, counts = np.unique(origins(low), axis=0, return_counts=True)
    assert len(counts) == 29 and counts.min() > 60 and counts.max() < 150


def test_a_crop_larger_than_the_frame_is_the_frame(dataset):
    assert data.FramePairs(dataset).sample(np.random.default_rng(0), 2, crop=64)[0].shape == (2, 8, 8, 3)


def test_the_same_generator_draws_the_same(dataset):
    pairs = data.FramePairs(dataset)
    one, other = (pairs.sample(np.random.default_rng(5), 20, crop=3) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])


def test_evenly_spaced(dataset):
    pairs = data.FramePairs(dataset, [2])
    batches = list(pairs.evenly(100, 8))
    assert [len(low) for low, _ in batches] == [8, 8, 4]
    assert origins(np.concatenate([low for low, _ in batches])) == [(2, t) for t in range(20)]
    ((low, high),) = pairs.evenly(3, 8)
    assert origins(low) == [(2, 0), (2, 10), (2, 19)]
    np.testing.assert_array_equal(high, enlarge(low, 3))


def test_without_large_frames(dataset):
    with pytest.raises(DataError, match=r"none of 1 episode\(s\) .* genie-gym collect Toy-Numpy --high-res"):
        data.FramePairs(dataset, [1])
