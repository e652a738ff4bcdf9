"""What changes between two clips, of drawn clips in which it is known."""

import cv2
import numpy as np
import pytest

from genie_gym.annotation.motion import camera_shift, change_of, drift, flicker
from genie_gym.annotation.probe import effect_of

SIDE, STEPS, SPRITE = 120, 20, 8
NOISE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (SIDE, 3 * SIDE, 3), np.uint8), (0, 0), 2)
GROUND = np.where(NOISE > 128, 160, 40).astype(np.uint8)


def clip(positions, ground: np.ndarray = GROUND, colour: int = 255, size: int = SPRITE) -> np.ndarray:
    """A sprite at those places, (column, row), before a ground."""
    frames = np.repeat(ground[None, :, :SIDE], len(positions), 0).copy()
    for frame, (x, y) in zip(frames, positions, strict=True):
        if x is not None:
            frame[int(y) : int(y) + size, int(x) : int(x) + size] = colour
    return frames


def line(right: float, down: float) -> list[tuple[float, float]]:
    return [(50 + right * t, 60 + down * t) for t in range(STEPS)]


def with_shot(right: float, down: float) -> np.ndarray:
    """The sprite stays, and something small flies away from it."""
    frames = clip(line(0, 0))
    for t, frame in enumerate(frames[1:]):
        x, y = int(53 + right * t), int(57 + down * t)
        frame[max(0, y) : max(0, y + 3), max(0, x) : max(0, x + 3)] = 0
    return frames


IDLE = clip(line(0, 0))
JUMP = [(50, 60 - 3 * t + 0.18 * t * t) for t in range(17)] + [(50, 60)] * (STEPS - 17)


@pytest.mark.parametrize("ground", [GROUND, np.zeros_like(GROUND)], ids=["rich", "black"])
@pytest.mark.parametrize(
    ("button", "way", "word"),
    [
        ("RIGHT", line(2, 0), "right"),
        ("LEFT", line(-2, 0), "left"),
        ("UP", line(0, -2), "up"),
        ("DOWN", line(0, 2), "down"),
        ("RIGHT", line(-2, 0), "left"),
        ("ACTION_PRIMARY", line(2, 0), "right"),
        ("ACTION_PRIMARY", JUMP, "jump"),
        ("UP", JUMP, "jump"),
        ("LEFT", line(0, 0), "none"),
    ],
)
def test_a_sprite_that_moves(ground, button, way, word):
    assert effect_of(button, change_of(clip(way, ground), clip(line(0, 0), ground))) == word


def test_what_flies_away_is_a_shot():
    change = change_of(with_shot(0, -6), IDLE)
    assert effect_of("ACTION_PRIMARY", change) == "shoot"


def test_what_changes_in_its_place():
    other = clip(line(0, 0), colour=90)
    other[0] = IDLE[0]
    assert effect_of("DOWN", change_of(other, IDLE)) == "crouch"
    assert effect_of("ACTION_SECONDARY", change_of(other, IDLE)) == "anim"


def test_the_player_that_stays_in_the_middle_of_a_scrolling_picture():
    scrolling = np.stack([clip([(50, 60)], GROUND[:, 2 * t :])[0] for t in range(STEPS)])
    change = change_of(scrolling, IDLE)
    assert change.whole and change.camera[0] == pytest.approx(-2 * (STEPS - 1) / SIDE)
    assert effect_of("RIGHT", change) == "right"


def test_nothing_is_no_change_however_much_moves():
    moving = clip(line(1, 1))
    assert change_of(moving, moving.copy()) is None


@pytest.mark.parametrize(("right", "down"), [(5, 0), (0, -7), (-3, 4)])
def test_the_shift_of_a_picture(right, down):
    picture = GROUND[:, :SIDE]
    shift = camera_shift(picture, np.roll(picture, (down, right), (0, 1)))
    assert (shift.right, shift.down) == (right, down) and shift.explains > 0.9


def test_drift_leaves_out_what_stands_still():
    """Stars go down behind a display; few pixels change."""
    sky = np.zeros((SIDE, SIDE, 3), np.uint8)
    rng = np.random.default_rng(1)
    sky[rng.integers(20, SIDE - 8, 40), rng.integers(0, SIDE, 40)] = 255
    later = np.roll(sky, 5, 0)
    for picture in (sky, later):
        picture[:16] = 120
    shift = drift(sky, later)
    assert (shift.right, shift.down) == (0, 5) and shift.explains > 0.9
    assert drift(sky, sky).explains == 0


def test_flicker():
    still = np.repeat(IDLE[:1], 40, 0)
    blinking, slow = still.copy(), still.copy()
    blinking[::2, 10:20, 10:20] = 255
    slow[20:, 10:20, 10:20] = 255
    assert flicker(blinking) > 50 and flicker(still) == flicker(slow) == 0
