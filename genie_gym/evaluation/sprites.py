"""Detection of the player's sprite by a template cut from real frames.

Shapes: b clips, h frames of each, s their side in pixels, p and q height and width of a template.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError
from genie_gym.evaluation.results import SpriteMetrics
from genie_gym.metrics.image import Frames

__all__ = ["SPRITE_BOXES", "SpriteBox", "SpriteDetector", "cut_sprite", "sprite_metrics"]


@dataclass(frozen=True)
class SpriteBox:
    """Bounding box in pixels of the sprite in the first frame of an episode, with a margin of background."""

    top: int
    left: int
    height: int
    width: int


# The ship, and about a pixel of black around it.
SPRITE_BOXES = {"Airstriker-Genesis": SpriteBox(45, 27, 7, 8)}

TOLERANCE = 2  # pixels by which a predicted sprite may be off and still count as in place


class SpriteDetector:
    """Finds the positions where a frame is similar to one of the templates.

    The similarity is 1 - |patch - template|^2 / |template|^2, both without their mean colour: 1 where they are equal,
    0 for plain background, 0.75 for a ghost at half the contrast. Unlike a correlation, it requires full contrast. A
    template with a margin misses a sprite that touches the edge of the frame.

    Args:
        templates: The sprite in its poses, uint8 (p, q, 3) each, all of one shape.
        threshold: Least similarity that counts. The tests show that 0.7 accepts all real frames of Airstriker in play
            and rejects all of them with the sprite painted out.

    Raises:
        ConfigError: The templates differ in shape, or one has a single colour.
    """

    def __init__(self, templates: Sequence[np.ndarray], threshold: float = 0.7):
        shapes = {template.shape for template in templates}
        if len(shapes) != 1 or any(not np.ptp(template, (0, 1)).any() for template in templates):
            raise ConfigError(f"templates must be images of one shape, none of a single colour; got {shapes}")
        self.templates = [_centred(template) for template in templates]
        self.threshold = threshold

    def similarity(self, frame: np.ndarray) -> np.ndarray:
        """Return the similarity to the best template at each upper left corner.

        Args:
            frame: uint8 (s, s, 3).

        Returns:
            float32 (s - p + 1, s - q + 1).
        """
        picture = frame.astype(np.float32) / 255
        spread = _spread(picture, self.templates[0].shape[:2])
        maps = []
        for template in self.templates:
            size = np.square(template).sum()
            agreement = cv2.matchTemplate(picture, template, cv2.TM_CCORR)  # the template has no mean to subtract
            maps.append((2 * agreement - spread) / size)
        return np.max(maps, 0)

    def find(self, frame: np.ndarray) -> np.ndarray:
        """Return the upper left corners of the sprites in a frame.

        Of positions that overlap by half or more, only the most similar one counts.

        Args:
            frame: uint8 (s, s, 3).

        Returns:
            int64 (count, 2), rows before columns.
        """
        remaining, corners = self.similarity(frame), []
        height, width = ((side + 1) // 2 for side in self.templates[0].shape[:2])
        while remaining.max() >= self.threshold:
            row, column = np.unravel_index(int(remaining.argmax()), remaining.shape)
            corners.append((row, column))
            remaining[max(row - height, 0) : row + height + 1, max(column - width, 0) : column + width + 1] = -np.inf
        return np.array(corners, np.int64).reshape(-1, 2)

    def count(self, frames: np.ndarray) -> np.ndarray:
        """Return the number of sprites in each frame: uint8 (..., s, s, 3) to int64 (...)."""
        flat = frames.reshape(-1, *frames.shape[-3:])
        return np.array([len(self.find(frame)) for frame in flat], np.int64).reshape(frames.shape[:-3])


def cut_sprite(dataset: EpisodeDataset, box: SpriteBox | None = None) -> SpriteDetector | None:
    """Make a detector of the player's sprite from the first frames of a dataset's episodes.

    Args:
        dataset: Episodes of the game.
        box: Bounding box of the sprite in these frames; the game's entry in `SPRITE_BOXES` by default.

    Returns:
        The detector; None if the game has no entry either.

    Raises:
        ConfigError: The box lies outside the frame or shows a single colour.
    """
    box = box or SPRITE_BOXES.get(dataset.header["game"]["name"])
    if box is None:
        return None
    firsts = np.stack([dataset.frames(index, 0, 1)[0] for index in range(len(dataset))])
    cut = firsts[:, box.top : box.top + box.height, box.left : box.left + box.width]
    if min(box.top, box.left) < 0 or cut.shape[1:3] != (box.height, box.width) or 0 in cut.shape:
        raise ConfigError(f"{box} lies outside frames of {firsts.shape[2]} x {firsts.shape[1]} pixels")
    return SpriteDetector([np.median(cut, 0).astype(np.uint8)])  # the median drops stars that happen to pass


def sprite_metrics(sprite: SpriteDetector, real: Frames, predicted: Frames, reconstructed: Frames) -> SpriteMetrics:
    """Measure whether predicted and reconstructed frames show the player where the real frames do.

    Args:
        sprite: Detector of the player.
        real: Real frames, uint8 (b, h, s, s, 3).
        predicted: Predicted frames of the same shape.
        reconstructed: Reconstructed frames of the same shape.
    """
    visible = sprite.count(real) > 0
    total = np.maximum(visible.sum(0), 1)
    kept = (sprite.count(predicted) > 0) & visible
    near = np.zeros_like(visible)
    for index in map(tuple, np.argwhere(kept)):
        expected, found = sprite.find(real[index]), sprite.find(predicted[index])
        near[index] = np.abs(expected[:, None] - found[None]).max(-1).min() <= TOLERANCE
    return SpriteMetrics(
        real=list(visible.mean(0)),
        kept=list(kept.sum(0) / total),
        in_place=list(near.sum(0) / total),
        reconstructed=float(((sprite.count(reconstructed) > 0) & visible).sum() / max(visible.sum(), 1)),
    )


def _centred(template: np.ndarray) -> np.ndarray:
    picture = template.astype(np.float32) / 255
    return picture - picture.mean((0, 1))


def _spread(picture: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Return the summed square of each (p, q) patch without its mean colour: (s, s, 3) to (s - p + 1, s - q + 1)."""
    height, width = window
    size = (width, height)
    border = cv2.BORDER_CONSTANT
    sums = cv2.boxFilter(picture, cv2.CV_32F, size, anchor=(0, 0), normalize=False, borderType=border)
    squares = cv2.sqrBoxFilter(picture, cv2.CV_32F, size, anchor=(0, 0), normalize=False, borderType=border)
    spread = (squares - np.square(sums) / (height * width)).sum(-1)
    return spread[: picture.shape[0] - height + 1, : picture.shape[1] - width + 1]
