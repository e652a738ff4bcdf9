"""Moved pictures are those of NumPy's padding and slicing."""

import numpy as np
import pytest
import torch

from genie_gym.models.conv.moved import all_moved, moved


@pytest.mark.parametrize("reach, every", [(4, 1), (4, 2), (2, 1)])
def test_each_offset_is_a_slice_of_the_padded_picture(reach, every):
    frames = torch.rand(2, 3, 8, 8)
    padded = np.pad(frames.numpy(), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    offsets = [(down, right) for down in range(0, 2 * reach + 1, every) for right in range(2 * reach + 1)]
    expected = [padded[..., down : down + 8 : every, right : right + 8] for down, right in offsets]
    found = all_moved(frames, reach, every)
    np.testing.assert_array_equal(found.numpy(), np.stack(expected, 2))
    for one, other in zip(moved(frames, reach, every), expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


def test_what_is_returned_may_be_overwritten():
    frames = torch.rand(1, 1, 8, 8)
    before = frames.clone()
    all_moved(frames, 2).zero_()
    assert torch.equal(frames, before)
