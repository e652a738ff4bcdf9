"""What is checked before a training run: whether there is room for it, and whether its windows fit the episodes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.errors import ConfigError
from genie_gym.models.architectures import AnyDynamicsConfig, AnyTokenizerConfig
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.utils import paths
from genie_gym.utils.atomic import check_writable
from genie_gym.world_model.resolve import shipped_checkpoint

__all__ = ["bytes_needed", "check_folders", "check_windows", "own_place"]

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
    there = sum(file.stat().st_size for file in run.rglob("*.safetensors")) if run.is_dir() else 0
    check_writable(run, max(size - there, 0))
    check_writable(out)


def own_place(checkpoint: str, game: str) -> Path:
    """Return where a checkpoint with a part trained anew goes by default.

    That is the checkpoint itself, or the user's own weights of the game if it is the one that ships with the package.

    Raises:
        ConfigError: The checkpoint is on the hub.
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise ConfigError(f"{checkpoint} is on the hub; say where to keep it with its new part, with --out FOLDER")
    return folder if folder != shipped_checkpoint(game) else paths.weights_dir(game)


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
