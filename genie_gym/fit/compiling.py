"""Training steps compiled by torch, and plain words where that fails."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from genie_gym.compiler import ADVICE, reason
from genie_gym.errors import ConfigError

__all__ = ["compiled", "compiler_failures_told"]


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with forward and backward to be compiled, each length of clips at its first step.

    Where torch cannot compile even a sum, for want of a C++ compiler say, a RuntimeWarning tells so and the model comes
    back as it is.
    """
    try:
        torch.compile(torch.add, dynamic=False)(torch.ones(2, device=device), 1)
    except Exception as error:  # of the compiler's many stages, each with errors of its own
        warnings.warn(
            f"torch cannot compile here ({reason(error)}) and the fit goes on uncompiled, which is slower; {ADVICE}",
            RuntimeWarning,
            stacklevel=3,
        )
        return model
    # Forward is two graphs with a question between them, whether the fit still warms up; no news to who fits.
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    return torch.compile(model, dynamic=False)  # type: ignore[return-value]


@contextmanager
def compiler_failures_told() -> Iterator[None]:
    """Turns errors of the compiler in the midst of a fit into ConfigError."""
    # Only now, as the compiler takes two seconds to import; torch has no public name for what it raises.
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    try:
        yield
    except TorchDynamoException as error:
        raise ConfigError(
            f"torch cannot compile this fit ({reason(error)}); if an earlier one was killed while it compiled, "
            f"remove {cache_dir()}; or leave compile out"
        ) from error
