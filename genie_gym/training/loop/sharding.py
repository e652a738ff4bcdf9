"""Weights, gradients, optimiser state and averages divided among processes (FSDP2), for models past one card.

A training that needs 20 bytes for each weight (the weight, its gradient, two moments and the average) then takes 20 / n
on each of n cards. Before each block its weights are gathered, and dropped after it. The averaged model is put together
on each card for a validation only, 4 bytes for each weight.
"""

import atexit
import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from genie_gym.models.transformer import Block, Frames
from genie_gym.training.loop.ema import move_average
from genie_gym.utils.parallel.processes import from_first_process, num_processes

__all__ = ["ShardedAverage", "own_part", "sharding_strategy", "whole_value"]


def sharding_strategy() -> ModelParallelStrategy:
    """Return the strategy that shards a model over all processes when it is set up."""
    _make_frames_known()
    return ModelParallelStrategy(_shard, data_parallel_size=num_processes(), tensor_parallel_size=1)


def _shard(model: nn.Module, mesh: Any) -> nn.Module:
    """Shard each block of the transformers, and what is left of the model, as the first process has them."""
    for value in model.state_dict().values():
        from_first_process(value)
    for module in model.modules():
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh["data_parallel"])
    fully_shard(model, mesh=mesh["data_parallel"])
    atexit.register(_let_go_of_groups, mesh)
    return model


def _let_go_of_groups(mesh: Any) -> None:
    """Drop what holds the groups of processes beside the list of them, before they are left.

    Their threads end with the last reference, and one that still runs while the interpreter ends may abort it. A
    sharded model is a ring of references, and torch keeps meshes for good, each with a dictionary of groups.
    """
    gc.collect()
    getattr(mesh, "_pg_registry", {}).clear()


def _make_frames_known() -> None:
    """Let torch find the tensors in the inputs of blocks: it waits for their gradients to free those of the weights."""
    from torch.utils._pytree import SUPPORTED_NODES

    if Frames not in SUPPORTED_NODES:
        torch.export.register_dataclass(Frames)


def own_part(value: Tensor) -> Tensor:
    """Return what this process has of a tensor, without a copy."""
    return value.to_local() if isinstance(value, DTensor) else value


def whole_value(value: Tensor) -> Tensor:
    """Return a whole tensor; all processes must ask for it."""
    return value.full_tensor() if isinstance(value, DTensor) else value


class ShardedAverage:
    """What `averaged_model` computes, of a sharded model: each process averages its part of the parameters.

    Args:
        model: The sharded model.
        whole: The same model before it was sharded, of which a copy is kept in the processor's memory.
        decay: Decay of the average.
    """

    def __init__(self, model: nn.Module, whole: nn.Module, decay: float):
        self._decay, self._updates = decay, torch.ones((), dtype=torch.int64)
        self._names = [name for name, _ in model.named_parameters()]
        self._values = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self._whole = copy.deepcopy(whole).cpu().eval().requires_grad_(False)
        self._device = own_part(next(model.parameters())).device

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the model; buffers are copied."""
        current = model.state_dict()
        averages, newest = ([own_part(values[name]) for name in self._names] for values in (self._values, current))
        move_average(averages, newest, int(self._updates), self._decay)
        for name in current.keys() - set(self._names):
            self._values[name].copy_(current[name])
        self._updates += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Return what must be saved, by the names that the average of a whole model has; loaded in place."""
        return {"n_averaged": self._updates} | {f"module.{name}": value for name, value in self._values.items()}

    @contextmanager
    def gathered(self) -> Iterator[nn.Module]:
        """Yield the averaged model on this process's device, with the first process's buffers."""
        into = self._whole.to(self._device).state_dict()
        for name, value in self._values.items():
            into[name].copy_(whole_value(value) if isinstance(value, DTensor) else from_first_process(value.clone()))
        try:
            yield self._whole
        finally:
            self._whole.cpu()
