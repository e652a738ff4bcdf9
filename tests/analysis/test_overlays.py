"""Heat maps and token colours show the values they are given."""

import numpy as np
import pytest
from matplotlib import colormaps

from genie_gym.analysis.overlays import FRAME_SHARE, heat_map, token_colours


def test_a_heat_map_blends_the_colour_of_each_value_with_the_grey_frame():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    values = np.random.default_rng(1).uniform(0, 3, (2, 4, 4))
    shown = heat_map(frames, values, maximum=2.0)
    assert shown.shape == frames.shape and shown.dtype == np.uint8
    for t, y, x in np.ndindex(2, 8, 8):
        red, green, blue, _ = colormaps["inferno"](min(values[t, y // 2, x // 2] / 2, 1.0))
        for k, colour in enumerate((red, green, blue)):
            expected = FRAME_SHARE * frames[t, y, x].mean() + (1 - FRAME_SHARE) * 255 * colour
            assert shown[t, y, x, k] == pytest.approx(expected, abs=0.51)


def test_a_heat_map_of_zeros_is_dark():
    shown = heat_map(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8)), maximum=0.0)
    assert shown.max() < 10


def test_a_code_has_one_colour_and_the_static_one_is_black():
    tokens = np.array([[3, 1, 1, 2], [2, 0, 3, 1]])
    shown = token_colours(tokens, codes=4, size=8, static=1)
    assert shown.shape == (2, 8, 8, 3)
    colours = {}
    for (t, place), token in np.ndenumerate(tokens):
        top, left = 4 * (place // 2), 4 * (place % 2)
        patch = shown[t, top : top + 4, left : left + 4].reshape(-1, 3)
        assert (patch == patch[0]).all()
        assert colours.setdefault(int(token), tuple(patch[0])) == tuple(patch[0])
    assert colours.pop(1) == (0, 0, 0) and len(set(colours.values())) == 3 and min(map(min, colours.values())) > 0
