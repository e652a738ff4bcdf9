"""Pairs of small and large frames: of the same place, from all of the right episodes and no others."""

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError
from genie_gym.frames import enlarge

HEADER = {"game": {"name": "Toy-Numpy"}, "actions": ["NOOP"]}
LENGTHS = (5, 9, 20, 4)


def frame_of(episode: int, t: int) -> np.ndarray:
    """uint8 (8, 8, 3): red says which episode, green which frame, blue differs from pixel to pixel."""
    frame = np.empty((8, 8, 3), np.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = episode, t, np.arange(64).reshape(8, 8)
    return frame


@pytest.fixture
def recording(tmp_path) -> data.Recording:
    """Four episodes, of which number 1 was recorded without large frames; a large frame is the small one, enlarged."""
    with data.RecordingWriter(tmp_path, HEADER) as writer:
        for i, length in enumerate(LENGTHS):
            frames = np.stack([frame_of(i, t) for t in range(length)])
            steps = np.zeros(length - 1, np.int64), np.zeros(length - 1, np.float32)
            large = enlarge(frames, 3) if i != 1 else None
            writer.append(data.Episode(frames, *steps, info={"id": f"{i}"}, large=large))
    return data.Recording(tmp_path)


def places(pictures: np.ndarray) -> list[tuple[int, int]]:
    return [(int(picture[0, 0, 0]), int(picture[0, 0, 1])) for picture in pictures]


def test_pieces_are_of_the_same_place_and_of_every_frame(recording):
    pairs = data.Pairs(recording)
    assert (len(pairs), pairs.episodes, pairs.side, pairs.scale) == (5 + 20 + 4, 3, 8, 3)
    low, high = pairs.sample(np.random.default_rng(0), 600, crop=4)
    assert low.shape == (600, 4, 4, 3) and high.shape == (600, 12, 12, 3)
    np.testing.assert_array_equal(high, enlarge(low, 3))
    expected = {(i, t) for i in (0, 2, 3) for t in range(LENGTHS[i])}
    assert set(places(low)) == expected
    corners = set(low[:, 0, 0, 2].tolist())
    assert corners == {8 * y + x for y in range(5) for x in range(5)}  # every place where a piece fits


def test_frames_are_drawn_equally_often(recording):
    low, _ = data.Pairs(recording).sample(np.random.default_rng(0), 2900)
    assert low.shape[1:] == (8, 8, 3)  # whole ones, unless pieces are asked for
    _, counts = np.unique(places(low), axis=0, return_counts=True)
    assert len(counts) == 29 and counts.min() > 60 and counts.max() < 150


def test_a_piece_larger_than_the_picture_is_the_picture(recording):
    assert data.Pairs(recording).sample(np.random.default_rng(0), 2, crop=64)[0].shape == (2, 8, 8, 3)


def test_the_same_generator_draws_the_same(recording):
    pairs = data.Pairs(recording)
    one, other = (pairs.sample(np.random.default_rng(5), 20, crop=3) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])


def test_evenly_spaced(recording):
    pairs = data.Pairs(recording, [2])
    batches = list(pairs.evenly(100, 8))
    assert [len(low) for low, _ in batches] == [8, 8, 4]
    assert places(np.concatenate([low for low, _ in batches])) == [(2, t) for t in range(20)]
    ((low, high),) = pairs.evenly(3, 8)
    assert places(low) == [(2, 0), (2, 10), (2, 19)]
    np.testing.assert_array_equal(high, enlarge(low, 3))


def test_without_large_frames(recording):
    with pytest.raises(DataError, match=r"none of 1 episode\(s\) .* genie-gym collect Toy-Numpy --large"):
        data.Pairs(recording, [1])
