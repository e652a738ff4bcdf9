"""Training state on disk: weights, averages and optimiser in one safetensors file.

It is replaced as a whole, and reading it unpickles nothing.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from genie_gym.errors import CheckpointError
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import from_jsonable, parse_json
from genie_gym.utils.paths import open_regular
from genie_gym.world_model.checksum import checksum

__all__ = ["INVALID", "SavedProgress", "check_finite", "load_state", "save_state"]

SLOTS = ("exp_avg", "exp_avg_sq", "momentum", "mean", "square")  # what AdamW and MuonAdamW keep for each parameter

# What a damaged or hostile file can cause.
INVALID = (SafetensorError, OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError)


@dataclass(frozen=True)
class SavedProgress:
    """How far a training run is.

    Attributes:
        step: Optimiser steps so far.
        seconds: Training time so far.
        metrics: Results of the last validation.
        validated: Step at which that was; -1 if there was none.
        closing: Seconds that the last validation took.

    Raises:
        ValueError: A value is out of range.
    """

    step: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    validated: int = -1
    closing: float = 0.0

    def __post_init__(self) -> None:
        times = all(0 <= seconds < math.inf for seconds in (self.seconds, self.closing))
        if not -1 <= self.validated <= self.step < 2**53 or self.step < 0 or not times:
            raise ValueError("steps or seconds are out of range")


def save_state(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, progress: SavedProgress
) -> None:
    """Write everything that training needs to be resumed as if it had not been interrupted.

    Args:
        path: The file.
        model: The trained module.
        average: The moving average of its weights.
        optimizer: Its optimiser.
        progress: How far the training is, kept as JSON.

    Raises:
        DataError: The disk is full or the folder cannot be written; what was saved last is kept.
    """
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in average.state_dict().items()}
    tensors |= {
        f"optimizer/{i}/{k}": torch.as_tensor(v)
        for i, slots in optimizer.state_dict()["state"].items()
        for k, v in slots.items()
    }
    text = json.dumps(asdict(progress))
    metadata = {"progress": text, "sha256": checksum(tensors, text)}
    atomic_write(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata))


def load_state(path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> SavedProgress:
    """Restore a saved training state; returns its progress.

    Raises:
        CheckpointError: The file is damaged or belongs to a model of other sizes.
    """
    try:
        open_regular(path).close()  # nothing that one would wait for
        with safe_open(path, "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_shapes(shapes, model, average, optimizer)
            tensors = {name: file.get_tensor(name) for name in shapes}
            metadata = file.metadata() or {}
        if checksum(tensors, metadata["progress"]) != metadata["sha256"]:
            raise ValueError("its checksum is that of other values")
        values = parse_json(metadata["progress"])
        values.pop("numpy", None)  # of a generator that earlier versions had
        progress = from_jsonable(SavedProgress, values, "progress")
        check_finite(tensors)
        _check_steps(tensors, progress.step)
        model.load_state_dict(_under("model/", tensors))
        average.load_state_dict(_under("average/", tensors))
        optimizer.load_state_dict(_optimizer_state(optimizer, _under("optimizer/", tensors)))
    except INVALID as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{path} does not fit this model or is damaged ({reason!r:.200}); "
            f"remove {path.parent} to start this training again"
        ) from error
    return progress


def _check_shapes(
    shapes: dict[str, tuple[int, ...]], model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Raise ValueError if a tensor has another shape than it needs, before any of them is read."""
    known = {f"model/{name}": tuple(value.shape) for name, value in model.state_dict().items()}
    known |= {f"average/{name}": tuple(value.shape) for name, value in average.state_dict().items()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        known |= {f"optimizer/{index}/{slot}": tuple(parameter.shape) for slot in SLOTS}
        known[f"optimizer/{index}/step"] = ()
    for name, shape in shapes.items():
        if not name.startswith("random/") and known.get(name) != shape:
            raise ValueError(f"{name} has the shape {shape}, not {known.get(name)}")
        if math.prod(shape) > 10**6 and name.startswith("random/"):
            raise ValueError(f"{name} has the shape {shape}")


def check_finite(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError if a number of a saved state is not finite."""
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite")


def _check_steps(tensors: dict[str, Tensor], steps: int) -> None:
    """Raise ValueError if a parameter had more steps than the training."""
    for name, value in tensors.items():
        if name.startswith("optimizer/") and name.endswith("/step") and not 0 <= value.item() <= steps:
            raise ValueError(f"{name} is {value.item()} after {steps} steps")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _optimizer_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, slot = name.split("/")
        state.setdefault(int(index), {})[slot] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
