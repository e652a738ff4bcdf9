"""Devices, CPU threads, the mode that tensors are made in, and the global state that belongs to the caller."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import at_least

__all__ = [
    "find_device",
    "kept_global_state",
    "one_thread_if_forked",
    "outside_inference_mode",
    "use_threads",
    "with_gradients",
]

_process = os.getpid()  # in which torch's threads were started


@contextmanager
def kept_global_state() -> Iterator[None]:
    """Restore torch's threads and the random generators of Python, NumPy and torch at the end; decorates functions too.

    An activity, and what it calls, may set them as it likes: afterwards they are those of the caller again.
    """
    threads, python, numpy_ = torch.get_num_threads(), random.getstate(), np.random.get_state()
    torch_ = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numpy_)
        torch.set_rng_state(torch_)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


def one_thread_if_forked() -> None:
    """Let a forked process compute in one thread: it lacks its parent's threads and would wait for them for ever.

    Gymnasium's AsyncVectorEnv forks.
    """
    global _process
    if os.getpid() != _process:
        _process = os.getpid()
        torch.set_num_threads(1)


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads that torch uses, within `kept_global_state`; None leaves it as it is.

    Raises:
        ConfigError: The number is less than 1.
    """
    at_least(1, threads=threads)
    if threads is not None:
        torch.set_num_threads(threads)


def find_device(name: str) -> torch.device:
    """Return the device of that name: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1" ...

    Raises:
        ConfigError: This machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        probe = torch.zeros(1, device=torch.device(name))
        probe.item()  # "meta" has tensors without values
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ConfigError(f"cannot use device {name!r} ({str(error).splitlines()[0]}); try device='cpu'") from error
    return probe.device  # with its index: "cuda" and "cuda:0" are one


@contextmanager
def outside_inference_mode() -> Iterator[None]:
    """Make ordinary tensors without gradients, also for a caller in `torch.inference_mode`; decorates functions too.

    What that mode makes could neither be written into nor stand in a loss outside of it.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextmanager
def with_gradients() -> Iterator[None]:
    """Compute gradients, also for a caller in `torch.inference_mode` or `torch.no_grad`; decorates functions too."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
