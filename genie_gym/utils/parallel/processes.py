"""The processes that torchrun starts for one training; a process that is alone is the first of one."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "first_process_first",
    "from_first_process",
    "join_processes",
    "num_processes",
    "process_number",
    "summed_over_processes",
]


def join_processes() -> None:
    """Meet the other processes that torchrun started, if any; those of tensors on the CPU always talk by gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "MASTER_ADDR" in os.environ and not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_leave_processes)


def _leave_processes() -> None:
    """Part from the others before the interpreter ends, or threads of the group may abort this process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def num_processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_number() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def summed_over_processes(values: Tensor) -> Tensor:
    """Replace a tensor by its sum over all processes, in place, and return it."""
    if num_processes() > 1:
        dist.all_reduce(values)
    return values


def from_first_process(values: Tensor) -> Tensor:
    """Replace a tensor by that of the first process, in place, and return it."""
    if num_processes() > 1:
        dist.broadcast(values, 0)
    return values


@contextmanager
def first_process_first() -> Iterator[None]:
    """Let the first process do something, such as writing a file, before the others do it and find it done."""
    if process_number() > 0:
        dist.barrier()
    yield
    if process_number() == 0 and num_processes() > 1:
        dist.barrier()
