"""Training state of a sharded model on disk: a file of safetensors for each process, by torch.distributed.checkpoint.

They lie in one of two folders, in turn. A JSON file beside them, replaced as a whole once all are written, names the
folder and has their checksums. Any number of processes reads what any other number wrote, and nothing is unpickled.
"""

import hashlib
import json
import shutil
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as distributed
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from genie_gym.errors import CheckpointError, DataError
from genie_gym.training.loop.sharding import ShardedAverage, own_part
from genie_gym.training.loop.train_state import INVALID, SavedProgress, check_finite
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import from_jsonable, parse_json
from genie_gym.utils.parallel.processes import first_process_first, num_processes, process_number, summed_over_processes
from genie_gym.utils.paths import open_regular

__all__ = ["load_sharded_state", "save_sharded_state"]

FOLDERS = ("shards-a", "shards-b")
FLAT = StateDictOptions(flatten_optimizer_state_dict=True)
Average = nn.Module | ShardedAverage


def save_sharded_state(
    path: Path, model: nn.Module, average: Average, optimizer: torch.optim.Optimizer, progress: SavedProgress
) -> None:
    """Write everything that training needs to be resumed; called by all processes.

    Args:
        path: The JSON file.
        model: The trained module, sharded or, of a process that is alone, whole.
        average: The moving average of its weights.
        optimizer: Its optimiser.
        progress: How far the training is.

    Raises:
        DataError: The disk is full or the folder cannot be written; what was saved last is kept.
    """
    used = parse_json(path.read_bytes())["folder"] if path.exists() else FOLDERS[1]
    folder = path.parent / FOLDERS[used == FOLDERS[0]]
    with first_process_first():
        if process_number() == 0:
            shutil.rmtree(folder, ignore_errors=True)  # of a save that was killed
    writer = distributed.HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a process is alone
            distributed.save(_tensors(model, average, optimizer), storage_writer=writer, no_dist=num_processes() == 1)
    except (CheckpointException, OSError) as error:
        reason = str(error).splitlines()[-1]
        raise DataError(f"cannot write {folder} ({reason!r:.200}); free some space, or give another --run") from error
    sums = _checksums(folder)
    with first_process_first():
        if process_number() == 0:
            content = {"folder": folder.name, "files": sums, "progress": asdict(progress)}
            atomic_write(path, (json.dumps(content, indent=1) + "\n").encode())
            shutil.rmtree(path.parent / FOLDERS[used == FOLDERS[1]], ignore_errors=True)


def load_sharded_state(
    path: Path, model: nn.Module, average: Average, optimizer: torch.optim.Optimizer
) -> SavedProgress:
    """Restore a saved training state; returns its progress. Called by all processes.

    Raises:
        CheckpointError: A file is damaged or missing, or belongs to a model of other sizes.
    """
    try:
        with open_regular(path) as file:
            content = parse_json(file.read())
        progress = from_jsonable(SavedProgress, content["progress"], "progress")
        folder = path.parent / FOLDERS[FOLDERS.index(content["folder"])]
        if _checksums(folder) != content["files"]:
            raise ValueError("its checksums are those of other files")
        tensors = _tensors(model, average, optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = distributed.HuggingFaceStorageReader(str(folder))
            distributed.load(tensors, storage_reader=reader, no_dist=num_processes() == 1)
        check_finite({name: own_part(value) for name, value in tensors.items()})
        moments = {name.removeprefix("optimizer/"): value for name, value in tensors.items() if "optimizer/" in name}
        flat: dict[str, Any] = {**get_optimizer_state_dict(model, optimizer, options=FLAT), **moments}
        set_optimizer_state_dict(model, optimizer, flat, options=FLAT)
    except (CheckpointException, *INVALID) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1]
        raise CheckpointError(
            f"{path} does not fit this model or is damaged ({reason!r:.200}); "
            f"remove {path.parent} to start this training again"
        ) from error
    return progress


def _tensors(model: nn.Module, average: Average, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that is saved, by name, to be written or loaded in place."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.state_dict().items()}
    flat = get_optimizer_state_dict(model, optimizer, options=FLAT)
    return tensors | {f"optimizer/{name}": value for name, value in flat.items() if name.startswith("state.")}


def _checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a folder; each process reads some of them, and all learn of all."""
    files = sorted(folder.iterdir())
    digests = torch.zeros(len(files), 32, dtype=torch.int64)
    for index in range(process_number(), len(files), num_processes()):
        with suppress(OSError):  # zeros are no file's checksum, and all processes must learn that
            digests[index] = torch.tensor(list(_sha256(files[index])))
    summed_over_processes(digests)
    return {file.name: bytes(digest.tolist()).hex() for file, digest in zip(files, digests, strict=True)}


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.digest()
