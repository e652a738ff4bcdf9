"""Which recordings a fit has been given, in its run's data.json: it may go on with more data, but says so."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data import Recording
from genie_gym.errors import ConfigError
from genie_gym.files import write_aside
from genie_gym.pipeline.settings import read_notes

__all__ = ["FitData", "check_game", "mark_finished", "note_data"]


@dataclass(frozen=True)
class FitData:
    """A recording as a fit found it.

    >>> print(FitData("play", episodes=9, frames=900, trained_on=8))
    9 episodes, 900 frames, 8 episodes trained on
    """

    folder: str
    episodes: int
    frames: int
    trained_on: int

    @classmethod
    def of(cls, recording: Recording, train: np.ndarray) -> "FitData":
        """What is in a recording, of which the episodes `train` are trained on."""
        return cls(str(recording.folder.absolute()), len(recording), int(recording.lengths.sum()), len(train))

    def __str__(self) -> str:
        return f"{self.episodes} episodes, {self.frames} frames, {self.trained_on} episodes trained on"


def check_game(game: str, recording: Recording) -> None:
    """Raises ConfigError where the recording is of another game."""
    recorded = recording.header["game"].get("name")
    if recorded != game:
        raise ConfigError(f"{recording.folder} holds play of {recorded}, not of {game}; give another folder")


def note_data(path: Path, data: FitData) -> list[FitData]:
    """Adds the data to the run's notes, and tells of it, if they are not those it had until now.

    A run that is finished learns nothing more: its notes stay as they are, which is told too.

    Args:
        path: data.json in the run's folder.

    Returns:
        the data of the run so far, oldest first.

    Raises:
        CheckpointError: the file is damaged.
        DataError: the disk is full.
    """
    notes: dict[str, Any] = read_notes(path) if path.exists() else {"finished": False, "used": []}
    used = [FitData(**one) for one in notes["used"]]
    if used[-1:] == [data]:
        return used
    if notes["finished"]:
        print(f"{path.parent} is finished and learns nothing from {data} in {data.folder}; remove it to fit again")
        return used
    if used:
        print(f"{path.parent} goes on with {data} in {data.folder}; it had {used[-1]} in {used[-1].folder}")
    _write(path, used := [*used, data], finished=False)
    return used


def mark_finished(path: Path, used: list[FitData]) -> None:
    """Notes that the run came to its end with these data."""
    _write(path, used, finished=True)


def _write(path: Path, used: list[FitData], finished: bool) -> None:
    notes = {"finished": finished, "used": [asdict(one) for one in used]}
    write_aside(path, json.dumps(notes, indent=1).encode())
