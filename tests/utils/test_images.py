"""Pictures resized, converted and tiled, against OpenCV and numpy."""

import cv2
import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from genie_gym.utils.images import (
    enlarge,
    enlarge_bicubic,
    from_model,
    grid,
    hstack,
    letterbox,
    to_gif,
    to_model,
    to_png,
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (256, 128), (128, 256), (64, 128)])
def test_square_averages_areas_of_the_padded_picture(height, width):
    picture = noise(height, width, 3)
    side = max(height, width)
    padded = np.zeros((side, side, 3))
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = picture
    k = side // 64
    expected = padded.reshape(64, k, 64, k, 3).mean((1, 3))
    assert np.abs(letterbox(picture) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("height", "width"), [(224, 320), (210, 160), (145, 97), (64, 64)])
def test_square_of_consoles_sizes(height, width):
    picture = noise(height, width, 3)
    side = max(height, width)
    padded = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = picture
    got = letterbox(picture)
    assert got.shape == (64, 64, 3) and got.dtype == np.uint8
    np.testing.assert_array_equal(got, cv2.resize(padded, (64, 64), interpolation=cv2.INTER_AREA))


def test_a_square_of_the_right_size_stays_as_it_is():
    picture = noise(64, 64, 3)
    np.testing.assert_array_equal(letterbox(picture), picture)
    assert letterbox(picture, 16).shape == (16, 16, 3)


def test_to_model_and_back():
    everything = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    pictures = np.concatenate([everything, noise(2, 16, 16, 3)])
    floats = to_model(torch.from_numpy(pictures))
    assert floats.shape == (3, 3, 16, 16) and floats.dtype == torch.float32
    np.testing.assert_allclose(floats.numpy(), pictures.transpose(0, 3, 1, 2) / 255, rtol=1e-6)
    np.testing.assert_array_equal(from_model(floats).numpy(), pictures)


def test_from_model_rounds_and_clips():
    values = torch.tensor([-0.3, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.7])
    assert from_model(values.expand(3, 1, 5))[0, :, 0].tolist() == [0, 0, 1, 255, 255]
    assert from_model(values.bfloat16().expand(3, 1, 5)).dtype == torch.uint8


def test_enlarge_repeats_pixels():
    pictures = noise(2, 3, 4, 3)
    large = enlarge(pictures, 3)
    assert large.shape == (2, 9, 12, 3)
    for dy in range(3):
        for dx in range(3):
            np.testing.assert_array_equal(large[:, dy::3, dx::3], pictures)


def test_strip_lays_out_rows():
    pictures = noise(5, 4, 6, 3)
    sheet = grid(pictures, columns=3, gap=2)
    assert sheet.shape == (4 + 2 + 4, 6 + 2 + 6 + 2 + 6, 3)
    covered = np.zeros(sheet.shape[:2], bool)
    for i, picture in enumerate(pictures):
        y, x = (i // 3) * 6, (i % 3) * 8
        np.testing.assert_array_equal(sheet[y : y + 4, x : x + 6], picture)
        covered[y : y + 4, x : x + 6] = True
    assert (sheet[~covered] == 128).all()


def test_strip_is_one_row_by_default_and_may_have_no_gap():
    pictures = noise(3, 4, 6, 3)
    assert grid(pictures).shape == (4, 3 * 6 + 2, 3)
    np.testing.assert_array_equal(grid(pictures, gap=0), np.concatenate(pictures, 1))


def test_beside_joins_clips_frame_by_frame():
    one, other = noise(4, 8, 6, 3), noise(4, 8, 6, 3, seed=1)
    both = hstack(one, other)
    assert both.shape == (4, 8, 14, 3)
    np.testing.assert_array_equal(both[:, :, :6], one)
    np.testing.assert_array_equal(both[:, :, 8:], other)
    assert (both[:, :, 6:8] == 128).all()
    with pytest.raises(ValueError, match="shorter"):
        hstack(one, other[:3])


def test_gif_keeps_frames_colours_and_time():
    palette = np.array([(0, 0, 0), (255, 255, 255), (210, 40, 40), (92, 148, 252)], np.uint8)
    clip = palette[np.random.default_rng(0).integers(0, 4, (5, 16, 16))]
    source = to_gif(clip, fps=20)
    assert source[:4] == b"GIF8"
    np.testing.assert_array_equal(imageio.imread(source, extension=".gif", index=None), clip)
    assert imageio.immeta(source, extension=".gif")["duration"] == 50  # milliseconds
    assert b"NETSCAPE2.0" in source  # it loops


def test_png_keeps_every_pixel():
    picture = noise(9, 7, 3)
    np.testing.assert_array_equal(imageio.imread(to_png(picture), extension=".png"), picture)


def test_square_invents_no_levels_where_it_enlarges():
    picture = np.full((40, 50, 3), 100, np.uint8)
    picture[:20] = 60
    assert set(np.unique(letterbox(picture, 256)[56:200])) <= set(range(60, 101))


def test_enlarge_bicubic_is_that_of_torch():
    pictures = noise(2, 12, 10, 3)
    large = enlarge_bicubic(pictures, 4)
    theirs = torch.nn.functional.interpolate(to_model(torch.from_numpy(pictures)), scale_factor=4, mode="bicubic")
    assert large.shape == (2, 48, 40, 3)
    assert np.abs(large.astype(int) - from_model(theirs).numpy()).max() <= 1
