"""What moved by itself, in clips of which the camera's motion is known."""

import numpy as np
import pytest
import torch

from genie_gym.utils.motion import camera_and_independent_tokens, changed_tokens


def clip(down: int, right: int, sprite: tuple[int, int] = (0, 0), frames: int = 4, seed: int = 0) -> torch.Tensor:
    """A camera over a random texture, with a 4x4 white sprite that moves on the screen: uint8 (1, t, 64, 64, 3)."""
    level = np.random.default_rng(seed).integers(0, 200, (128, 128, 3), np.uint8)
    pictures = []
    for t in range(frames):
        y, x = 32 + down * t, 32 + right * t
        picture = level[y : y + 64, x : x + 64].copy()
        picture[24 + sprite[0] * t :][:4, 24 + sprite[1] * t :][:, :4] = 255
        pictures.append(picture)
    return torch.from_numpy(np.stack(pictures))[None]


def grid(tokens: torch.Tensor) -> np.ndarray:
    return tokens.reshape(*tokens.shape[:2], 16, 16).numpy()


@pytest.mark.parametrize(("down", "right"), [(0, 0), (0, 3), (-2, 1), (4, -4)])
def test_only_the_sprite_and_what_comes_into_view_move_by_themselves(down, right):
    frames = clip(down, right, sprite=(0, 4))
    camera, independent = camera_and_independent_tokens(frames, 4)
    independent, changed = grid(independent), grid(changed_tokens(frames, 4))
    assert camera[:, 0].isnan().all() and (camera[0, 1:].round(decimals=1) == torch.tensor([down, right])).all()
    assert not independent[:, 0].any() and (changed | ~independent).all()
    for t in range(1, 4):
        inside = independent[0, t, 2:-2, 2:-2].copy()
        assert inside[4, 4 + t]  # where the sprite is now
        inside[3:6, 2 + t : 6 + t] = False
        assert not inside.any()  # a scrolling texture does not
    assert changed[0, 1:].mean() > (0.9 if down or right else 0)


def test_a_camera_between_whole_pixels_is_still_a_camera():
    before, after = clip(0, 1, frames=2)[0].float()
    frames = torch.stack([before, (before + after) / 2])[None].byte()
    camera, independent = camera_and_independent_tokens(frames, 4)
    assert camera[0, 1].tolist() == pytest.approx([0, 0.5], abs=0.05)
    independent, changed = (grid(tokens)[0, 1, 1:-1, 1:-1] for tokens in (independent, changed_tokens(frames, 4)))
    independent[4:7, 4:7] = False  # the sprite stays where it is
    assert not independent.any() and changed.mean() > 0.9


def test_what_stays_on_the_screen_has_not_changed():
    frames = clip(0, 2)
    frames[:, :, :4] = 128  # a display over the moving level
    assert not grid(camera_and_independent_tokens(frames, 4)[1])[:, :, 0].any()


def test_a_cut_is_no_motion_and_an_empty_picture_stands_still():
    empty = torch.full((1, 1, 64, 64, 3), 90, dtype=torch.uint8)
    frames = torch.cat([clip(0, 1, frames=1), empty, empty, clip(0, 1, frames=1, seed=1)], 1)
    camera, _ = camera_and_independent_tokens(frames, 4)
    assert camera.isnan().all(-1).tolist() == [[True, True, False, True]]
    assert camera[0, 2].tolist() == [0, 0]
