"""Images of an evaluation."""

from pathlib import Path

from genie_gym.metrics.image import Frames
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.images import enlarge, grid, to_png

__all__ = ["write_grid"]


def write_grid(path: Path, rows: Frames) -> None:
    """Write rows of frames, uint8 (rows, columns, h, w, 3), enlarged twofold as a PNG; create its folder.

    Raises:
        DataError: The file cannot be written.
    """
    atomic_write(path, to_png(enlarge(grid(rows.reshape(-1, *rows.shape[2:]), columns=rows.shape[1]), 2)))
