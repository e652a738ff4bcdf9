"""From the name of a device to the device, and what this machine can do."""

import warnings

import torch

from genie_gym.checks import at_least
from genie_gym.errors import ConfigError

__all__ = ["can_compile", "find_device", "use_threads"]


def use_threads(threads: int | None) -> None:
    """Lets torch compute with so many CPU threads, or as many as it likes with None; ConfigError for less than 1."""
    at_least(1, threads=threads)
    if threads is not None:
        torch.set_num_threads(threads)


def find_device(name: str) -> torch.device:
    """The device of that name: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1" ...

    Raises:
        ConfigError: this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" has tensors but no numbers
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ConfigError(f"cannot use device {name!r} ({str(error).splitlines()[0]}); try device='cpu'") from error
    return device


def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` works for a device, tried on a sum; a RuntimeWarning says why where it does not."""
    try:
        torch.compile(torch.add, dynamic=False)(torch.ones(2, device=device), 1)
    except Exception as error:  # of the compiler's many stages, each with errors of its own
        reason = str(error).strip().splitlines()[0]
        warnings.warn(
            f"torch cannot compile here ({reason}) and goes on uncompiled, which is slower; "
            "install a C++ compiler (apt install g++), or leave compile out",
            RuntimeWarning,
            stacklevel=3,
        )
        return False
    return True
