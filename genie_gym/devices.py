"""From the name of a device to the device."""

import torch

from genie_gym.checks import at_least
from genie_gym.errors import ConfigError

__all__ = ["find_device", "use_threads"]


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
        number = torch.zeros(1, device=torch.device(name))
        number.item()  # "meta" has tensors but no numbers
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ConfigError(f"cannot use device {name!r} ({str(error).splitlines()[0]}); try device='cpu'") from error
    return number.device  # with its index: "cuda" and "cuda:0" are one
