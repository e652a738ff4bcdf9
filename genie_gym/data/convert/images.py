"""A folder of images, in the order of the numbers in their names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from genie_gym.data.convert.video import MAX_SIDE
from genie_gym.data.storage import first_line
from genie_gym.errors import DataError, printable
from genie_gym.utils import paths
from genie_gym.utils.extras import require
from genie_gym.utils.images import letterbox

__all__ = ["IMAGE_SUFFIXES", "Images", "find_images", "natural"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_IMAGE_BYTES = 2**28


@dataclass(frozen=True)
class Images:
    """Images that are read anew each time that they are asked for.

    Attributes:
        files: The images, in order.
        size: Side of the frames in pixels.
    """

    files: list[Path]
    size: int

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the images: uint8 (size, size, 3), RGB, padded to squares.

        Raises:
            DataError: One cannot be read.
        """
        for path in self.files:
            yield letterbox(read_image(path), self.size)


def find_images(folder: Path) -> list[Path]:
    """Return the images of a folder.

    Raises:
        DataError: There is no such folder, or it holds fewer than two.
    """
    if not paths.is_folder(folder):
        raise DataError(f"no folder {folder}; give the folder that holds the images")
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if len(found) < 2:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise DataError(
            f"{folder} holds {len(found)} image(s) ({suffixes}) and no video; an episode needs at least 2 images"
        )
    return sorted(found, key=natural)


def natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def read_image(path: Path) -> np.ndarray:
    """Return an image, uint8 (height, width, 3).

    Raises:
        DataError: It cannot be read, or is absurdly large, which its first bytes tell before it is decoded.
    """
    pillow = require("PIL.Image", "train")
    try:
        if paths.file_size(path) > MAX_IMAGE_BYTES:
            raise ValueError(f"it has more than {MAX_IMAGE_BYTES:,} bytes")
        with pillow.open(path) as header:
            if max(header.size) > MAX_SIDE:
                raise ValueError(f"it has {header.size[0]}x{header.size[1]} pixels, the longest side is {MAX_SIDE:,}")
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("it is damaged")
    except Exception as error:  # Pillow and OpenCV raise what they like for files that are damaged on purpose
        raise DataError(
            f"{printable(path)} is no readable image ({printable(first_line(error)):.200}); repair or remove it (and "
            "its line in the action file)"
        ) from None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
