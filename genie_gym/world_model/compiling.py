"""Frozen models compiled by torch, and plain words where that fails."""

import types
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from genie_gym.compiler import ADVICE, reason

__all__ = ["compiled", "or_uncompiled"]


def compiled(method: Any) -> Callable:
    """A method to be compiled into one graph for each shape of what it is given; called within `or_uncompiled`."""
    # Frozen parts never change: asking them at every call whether they did takes a millisecond. But graphs are kept
    # with the code they were made from, and with those guards gone nothing tells one model's graph from another's: so
    # each model compiles a copy of the function.
    options: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
    ours = method.__func__
    copied = types.FunctionType(ours.__code__.replace(), ours.__globals__, ours.__name__, ours.__defaults__)
    bound = types.MethodType(copied, method.__self__)
    return torch.compile(bound, fullgraph=True, dynamic=False, options=options)


def or_uncompiled(run: Callable, uncompiled: Callable, device: torch.device, what: str) -> Callable:
    """`run`, which calls what is compiled; where that fails a RuntimeWarning tells so and `uncompiled` is called.

    Args:
        what: that is compiled, for the warning: "the step".
    """
    # Only now, as the compiler takes two seconds to import. Torch has no public names for what it raises.
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch._inductor import config as inductor

    # On a CPU weights that are constants are laid out once as its matrix products want them, and a step's two hundred
    # calls are themselves compiled: together 1.6 times the steps. Tracing looks for the first of these settings before
    # it reads the options of torch.compile.
    settings = inductor.patch(freezing=True, cpp_wrapper=True) if device.type == "cpu" else nullcontext()

    def call(*given: Any) -> Any:
        try:
            with settings:
                return run(*given)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            warnings.warn(
                f"{what} is not compiled ({reason(error)}) and goes on uncompiled, which is slower; {ADVICE}",
                RuntimeWarning,
                stacklevel=3,
            )
            return uncompiled(*given)

    return call
