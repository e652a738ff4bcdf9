"""Training state on disk: weights, averages, optimiser and random generators in one safetensors file.

It is replaced as a whole, and reading it unpickles nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from genie_gym.errors import CheckpointError
from genie_gym.utils.atomic import atomic_write

__all__ = ["load_state", "numpy_stream", "save_state"]


def save_state(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, progress: dict[str, Any]
) -> None:
    """Write everything that training needs to be resumed as if it had not been interrupted.

    Args:
        path: The file.
        model: The trained module.
        average: The moving average of its weights.
        optimizer: Its optimiser.
        progress: Plain values (step, seconds, "numpy" random state ...), kept as JSON.
    """
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in average.state_dict().items()}
    tensors |= {
        f"optimizer/{i}/{k}": torch.as_tensor(v)
        for i, slots in optimizer.state_dict()["state"].items()
        for k, v in slots.items()
    }
    tensors["random/torch"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    metadata = {"progress": json.dumps(progress)}
    atomic_write(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata))


def load_state(path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore a saved training state; returns its progress.

    Raises:
        CheckpointError: The file is damaged or belongs to a model of other sizes.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            progress = json.loads(file.metadata()["progress"])
        model.load_state_dict(_under("model/", tensors))
        average.load_state_dict(_under("average/", tensors))
        optimizer.load_state_dict(_optimizer_state(optimizer, _under("optimizer/", tensors)))
        torch.set_rng_state(tensors["random/torch"])
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not fit this model or is damaged ({str(error).splitlines()[0]}); "
            f"remove {path.parent} to start this training again"
        ) from error
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])
    return progress


def numpy_stream(state: dict[str, Any] | None, seed: int) -> np.random.Generator:
    """Return a NumPy generator: a new one, or one that continues from a `bit_generator.state`."""
    rng = np.random.default_rng(seed)
    if state is not None:
        rng.bit_generator.state = state
    return rng


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _optimizer_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, slot = name.split("/")
        state.setdefault(int(index), {})[slot] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
