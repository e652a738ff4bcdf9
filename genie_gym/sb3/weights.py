"""Weights and optimisers of agents: what of them is saved, and checks of what comes from a file."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["WeightBudget", "named_weights", "optimizer_tensors", "restore_optimizer", "restore_weights"]


class WeightBudget(TorchFunctionMode):
    """Refuse to build a network that is larger than the weights it was saved with, before it takes memory."""

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        # Half as much again and a little: some networks are built before it is known that another is shared.
        self._left = int(1.5 * sum(one.numel() for one in weights.values())) + 100_000

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.empty:
            self._left -= 100 + math.prod(_size(args, kwargs or {}))  # modules without weights count, too
            if self._left < 0:
                raise ValueError("it describes a larger network than it holds")
        return func(*args, **(kwargs or {}))


def _size(args: Any, kwargs: dict[str, Any]) -> Iterable[int]:
    size = args if args else (kwargs.get("size", ()),)
    return size[0] if isinstance(size[0], list | tuple) else size


def named_weights(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers by name; those that parts of a network share, once."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


@torch.no_grad()
def restore_weights(module: nn.Module, saved: dict[str, Tensor]) -> None:
    """Copy saved weights into a module.

    Raises:
        ValueError: They are of another module, or one is not finite.
    """
    mine = named_weights(module)
    ours, theirs = ({name: (one.shape, one.dtype) for name, one in of.items()} for of in (mine, saved))
    if ours != theirs:
        raise ValueError("its weights are of another network")
    for name, value in saved.items():
        if not value.isfinite().all():
            raise ValueError(f"the weights {name} are not finite")
        mine[name].copy_(value)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser as tensors named "parameter/slot"."""
    return {
        f"{number}/{slot}": torch.as_tensor(value)
        for number, slots in optimizer.state_dict()["state"].items()
        for slot, value in slots.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Load the saved state, if any, of the right kind and shapes.

    Raises:
        ValueError: It is of another optimiser.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, slot = name.split("/")
        state.setdefault(int(number), {})[slot] = value
    parameters, slots = [one for group in optimizer.param_groups for one in group["params"]], _slots(optimizer)
    for index, values in state.items():
        if not 0 <= index < len(parameters) or values.keys() != slots:
            raise ValueError("the state of its optimiser is of another network")
        for slot, value in values.items():
            _check_slot(slot, value, parameters[index])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _check_slot(name: str, value: Tensor, parameter: Tensor) -> None:
    if value.shape != (() if name == "step" else parameter.shape):
        raise ValueError("the state of its optimiser is of another network")
    # The optimiser divides by what follows from the number of steps, and takes the root of means of squares.
    least = 1 if name == "step" else 0 if "sq" in name else -math.inf
    if not value.isfinite().all() or (value < least).any():
        raise ValueError(f"the state {name} of its optimiser is impossible")


def _slots(optimizer: torch.optim.Optimizer) -> set[str]:
    """Names of the values that an optimiser keeps of each parameter, as a step of one like it shows."""
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    probe: Any = type(optimizer)([parameter], **optimizer.defaults)
    probe.step()
    return set(probe.state[parameter])
