"""Finding the player's sprite in a picture by its own picture, cut from real play: is it still there, and once only?

Shapes: b clips, h frames of each, s their side in pixels, p and q height and width of a template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from genie_gym.data import Recording
from genie_gym.errors import ConfigError
from genie_gym.metrics import Frames

__all__ = ["PLACES", "Place", "SpriteDetector", "cut_sprite", "sprite_scores"]


@dataclass(frozen=True)
class Place:
    """Where the sprite stands in the first frame of an episode, with a margin of background: pixels of that frame."""

    top: int
    left: int
    height: int
    width: int


# The ship, and a pixel or so of black around it.
PLACES = {"Airstriker-Genesis": Place(45, 27, 7, 8)}

SAME_PLACE = 2  # pixels between a predicted sprite and the real one that still count as the same place


class SpriteDetector:
    """Counts the places where a picture looks like one of the templates.

    The likeness is 1 - |patch - template|^2 / |template|^2, both without their mean colour: 1 where they are equal, 0
    for plain background, 0.75 for a ghost at half the contrast. Unlike a correlation, it asks for full contrast. A
    template has to fit into the picture: one with a margin misses a sprite that touches the picture's edge.

    Args:
        templates: uint8 (p, q, 3) each, all of one shape: the sprite in its poses.
        threshold: least likeness that counts. The tests show that 0.7 keeps all real frames of Airstriker in play and
            refuses all of them with the sprite painted out.
    """

    def __init__(self, templates: Sequence[np.ndarray], threshold: float = 0.7):
        shapes = {template.shape for template in templates}
        if len(shapes) != 1 or any(not np.ptp(template, (0, 1)).any() for template in templates):
            raise ConfigError(f"templates must be pictures of one shape, none of a single colour; got {shapes}")
        self.templates = [_centred(template) for template in templates]
        self.threshold = threshold

    def likeness(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (s, s, 3) to float32 (s - p + 1, s - q + 1): of the best template at each upper left corner."""
        picture = frame.astype(np.float32) / 255
        spread = _spread(picture, self.templates[0].shape[:2])
        maps = []
        for template in self.templates:
            size = np.square(template).sum()
            agreement = cv2.matchTemplate(picture, template, cv2.TM_CCORR)  # the template has no mean to subtract
            maps.append((2 * agreement - spread) / size)
        return np.max(maps, 0)

    def find(self, frame: np.ndarray) -> np.ndarray:
        """Upper left corners int64 (count, 2) of the sprites in uint8 (s, s, 3), rows before columns.

        Of places that overlap by half or more only the likeliest counts.
        """
        likeness = self.likeness(frame)
        height, width = self.templates[0].shape[:2]
        left, corners = likeness.copy(), []
        while left.max() >= self.threshold:
            row, column = np.unravel_index(int(left.argmax()), left.shape)
            corners.append((row, column))
            half = (height + 1) // 2, (width + 1) // 2
            left[max(row - half[0], 0) : row + half[0] + 1, max(column - half[1], 0) : column + half[1] + 1] = -np.inf
        return np.array(corners, np.int64).reshape(-1, 2)

    def count(self, frames: np.ndarray) -> np.ndarray:
        """Sprites in each picture: uint8 (..., s, s, 3) to int64 (...)."""
        flat = frames.reshape(-1, *frames.shape[-3:])
        return np.array([len(self.find(frame)) for frame in flat], np.int64).reshape(frames.shape[:-3])


def cut_sprite(recording: Recording, place: Place | None = None) -> SpriteDetector | None:
    """A detector of the player's sprite, cut out of the first frames of a recording's episodes.

    Args:
        place: where the sprite stands in them; the game's entry in PLACES by default.

    Returns:
        the detector, or None if the game has no entry either.

    Raises:
        ConfigError: the place lies outside the picture or shows a single colour.
    """
    place = place or PLACES.get(recording.header["game"]["name"])
    if place is None:
        return None
    firsts = np.stack([recording.frames(index, 0, 1)[0] for index in range(len(recording))])
    box = firsts[:, place.top : place.top + place.height, place.left : place.left + place.width]
    if min(place.top, place.left) < 0 or box.shape[1:3] != (place.height, place.width) or 0 in box.shape:
        raise ConfigError(f"{place} lies outside frames of {firsts.shape[2]} x {firsts.shape[1]} pixels")
    return SpriteDetector([np.median(box, 0).astype(np.uint8)])  # the median drops stars that happen to pass


def sprite_scores(sprite: SpriteDetector, real: Frames, predicted: Frames, seen: Frames) -> dict[str, Any]:
    """Whether the player is where it should be; all frames uint8 (b, h, s, s, 3).

    Returns:
        Shares: "real", by step, of the clips whose real frame shows the player; of those "kept", whose predicted frame
        shows it too, "in_place", within 2 pixels, and "pictured", over all steps, whose reconstructed frame does.
    """
    shown = sprite.count(real) > 0
    total = np.maximum(shown.sum(0), 1)
    kept = (sprite.count(predicted) > 0) & shown
    near = np.zeros_like(shown)
    for place in map(tuple, np.argwhere(kept)):
        there, here = sprite.find(real[place]), sprite.find(predicted[place])
        near[place] = np.abs(there[:, None] - here[None]).max(-1).min() <= SAME_PLACE
    return {
        "real": list(shown.mean(0)),
        "kept": list(kept.sum(0) / total),
        "in_place": list(near.sum(0) / total),
        "pictured": ((sprite.count(seen) > 0) & shown).sum() / max(shown.sum(), 1),
    }


def _centred(template: np.ndarray) -> np.ndarray:
    picture = template.astype(np.float32) / 255
    return picture - picture.mean((0, 1))


def _spread(picture: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Summed square of each (p, q) patch without its mean colour: (s, s, 3) to (s - p + 1, s - q + 1)."""
    height, width = window
    size = (width, height)
    sums = cv2.boxFilter(picture, cv2.CV_32F, size, anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    squares = cv2.sqrBoxFilter(
        picture, cv2.CV_32F, size, anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    spread = (squares - np.square(sums) / (height * width)).sum(-1)
    return spread[: picture.shape[0] - height + 1, : picture.shape[1] - width + 1]
