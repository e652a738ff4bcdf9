"""Devices and CPU threads."""

import torch

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import at_least

__all__ = ["find_device", "use_threads"]


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads that torch uses; None leaves it as it is.

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
