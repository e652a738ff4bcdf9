"""What is checked before a training run: whether there is room for it, and whether its windows fit the episodes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.models.architectures import AnyDynamicsConfig, AnyTokenizerConfig
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.utils.atomic import check_writable

__all__ = ["bytes_needed", "check_folders", "check_windows"]

BYTES_KEPT = 4 * 4  # per weight in a training state: the weight, its average and two moments of the optimiser


def bytes_needed(models: Iterable[AnyTokenizerConfig | AnyDynamicsConfig | LatentActionConfig]) -> int:
    """Return how large the training states of models become on the disk, one of them written anew beside the old."""
    with torch.device("meta"):  # takes no memory
        built = [LatentActionModel(one) if isinstance(one, LatentActionConfig) else one.build() for one in models]
    weights = [sum(p.numel() for p in model.parameters()) for model in built]
    return BYTES_KEPT * (sum(weights) + max(weights))


def check_folders(run: Path, out: Path, size: int) -> None:
    """Raise DataError if the folders of a run or of its checkpoint cannot be written, or the disk has too little room.

    Args:
        run: Folder of the training state.
        out: Folder of the checkpoint.
        size: Bytes that the training state needs; what is there already of a resumed run counts.
    """
    there = sum(file.stat().st_size for file in run.rglob("state.safetensors")) if run.is_dir() else 0
    check_writable(run, max(size - there, 0))
    check_writable(out)


def check_windows(dataset: EpisodeDataset, sides: Sequence[np.ndarray], lengths: Iterable[tuple[int, int]]) -> None:
    """Raise DataError if the episodes to train on, or those to validate with, are shorter than a stage's windows.

    Args:
        dataset: The episodes.
        sides: Indices of the episodes to train on and of those held out.
        lengths: Frames of a window of each stage, to train on and to validate with.
    """
    for pair in lengths:
        for length, side in zip(pair, sides, strict=True):
            SequenceDataset(dataset, length, side)
