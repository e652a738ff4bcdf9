"""What a training run records: the datasets it has seen, in data.json of its folder, and the checkpoint's metadata."""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym.data import EpisodeDataset
from genie_gym.training.loop.trainer import StageReport
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.run_config import read_run_file
from genie_gym.utils.version import code_version
from genie_gym.world_model.metadata import DataUsed, StageRecord

__all__ = ["DataSummary", "data_used", "mark_finished", "note_data", "software_used", "stage_record"]


def data_used(dataset: EpisodeDataset, train: np.ndarray) -> DataUsed:
    """Return the sizes of a dataset of which the episodes `train` are trained on."""
    return DataUsed(len(dataset), int(dataset.lengths.sum()), len(train))


def stage_record(report: StageReport) -> StageRecord:
    """Return what is recorded of a finished stage."""
    metrics = {name: round(value, 4) for name, value in report.metrics.items()}
    return StageRecord(report.steps, round(report.seconds / 60, 1), metrics)


def software_used() -> str:
    """Return versions and machine in words."""
    return f"genie_gym {code_version()}, torch {torch.__version__}, {platform.machine()}"


@dataclass(frozen=True)
class DataSummary:
    """A dataset as a training run found it.

    Attributes:
        folder: Its folder.
        used: Its sizes.
    """

    folder: str
    used: DataUsed

    @classmethod
    def of(cls, dataset: EpisodeDataset, train: np.ndarray) -> "DataSummary":
        """Return the summary of a dataset of which the episodes `train` are trained on."""
        return cls(str(dataset.folder.absolute()), data_used(dataset, train))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSummary":
        """Build a summary from what `to_dict` returned."""
        sizes = dict(values)
        return cls(sizes.pop("folder"), DataUsed(**sizes))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"folder": self.folder} | asdict(self.used)


def note_data(path: Path, data: DataSummary, longer: bool = False) -> list[DataSummary]:
    """Add the dataset to the run's notes, and print a line about it, if it is not the one used last.

    A finished run learns nothing more: its notes stay as they are, which is printed too.

    Args:
        path: data.json in the folder of the run.
        data: The dataset as it is now.
        longer: Whether the run is to go on beyond what was its end.

    Returns:
        The datasets of the run so far, oldest first.

    Raises:
        CheckpointError: The file is damaged.
        DataError: The disk is full.
    """
    notes: dict[str, Any] = read_run_file(path) if path.exists() else {"finished": False, "used": []}
    used = [DataSummary.from_dict(one) for one in notes["used"]]
    if used[-1:] == [data]:
        if longer:
            _write(path, used, finished=False)
        return used
    if notes["finished"] and not longer:
        print(
            f"{path.parent} is finished and learns nothing from {data.used} in {data.folder}; "
            "raise --minutes to train it on, or remove it to train again"
        )
        return used
    if used:
        before = used[-1]
        print(f"{path.parent} is resumed with {data.used} in {data.folder}; it had {before.used} in {before.folder}")
    _write(path, used := [*used, data], finished=False)
    return used


def mark_finished(path: Path, used: list[DataSummary]) -> None:
    """Note that the run came to its end with these datasets."""
    _write(path, used, finished=True)


def _write(path: Path, used: list[DataSummary], finished: bool) -> None:
    notes = {"finished": finished, "used": [one.to_dict() for one in used]}
    atomic_write(path, json.dumps(notes, indent=1).encode())
