"""The dataset that a conversion adds to: what it asks of new episodes."""

from collections.abc import Sequence
from pathlib import Path

from genie_gym.data.convert.bars import Box
from genie_gym.data.storage import Storage
from genie_gym.errors import DataError
from genie_gym.utils import paths

__all__ = ["Existing"]


class Existing:
    """The dataset in a folder, where there may be none yet.

    Args:
        out: The folder.

    Raises:
        DataError: The dataset's header cannot be read.
    """

    def __init__(self, out: Path):
        self.out, storage = out, Storage(out)
        self.header = storage.read_header() if paths.exists(storage.header_path) else None
        self._ids = list(storage.scan()[0]) if self.header else []

    def rate(self, fps: float | None) -> float | None:
        """Return the frames per second to keep, None for each video's own choice; a dataset has only one rate.

        Raises:
            DataError: It has another one than `fps`.
        """
        known = self.header and self.header["game"].get("fps")
        if known and fps and abs(fps - known) > 0.02 * known:
            raise DataError(
                f"{self.out} has {known:g} frames a second, not {fps:g}; leave --fps out, or choose another --game or "
                "--out"
            )
        return known or fps

    def names(self, given: Sequence[str] | None) -> Sequence[str] | None:
        """Return the names of the actions, None if they are still to be found."""
        return self.header["actions"] if self.header and given is None else given

    def boxes(self, pixels: tuple[int, int]) -> list[Box]:
        """Return which parts were kept of earlier videos of that resolution."""
        runs = self.header["runs"] if self.header else []
        return [tuple(run["box"]) for run in runs if "box" in run and tuple(run["pixels"]) == pixels]

    def episodes(self, name: str) -> frozenset[str]:
        """Return the ids of the episodes that begin with a name."""
        return frozenset(one for one in self._ids if one.startswith(f"{name}-"))

    def check_kind(self, with_actions: bool) -> None:
        """Check that a dataset does not mix episodes with actions and episodes without.

        Raises:
            DataError: It would.
        """
        if self.header is None:
            return
        without = [bool(run.get("no_actions")) for run in self.header["runs"]]
        if with_actions and any(without):
            raise DataError(
                "the dataset was made without actions; give episodes with actions a folder of their own with --out"
            )
        if not with_actions and not all(without):
            raise DataError(
                "the dataset was made with actions; give episodes without actions a folder of their own with --out"
            )
