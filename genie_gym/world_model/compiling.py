"""Frozen models compiled by torch, and plain words where that fails."""

import types
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from genie_gym.compiler import ADVICE, reason

__all__ = ["compiled"]


def compiled(method: Any, device: torch.device, what: str) -> Callable:
    """A method that is compiled into one graph for each shape of what it is given, when it is first called so.

    Where that fails a RuntimeWarning tells so and the method is called as it is: from then on, or, where torch already
    keeps as many graphs of it as it will, with these shapes.

    Args:
        what: the method does, for the warning: "the step".
    """
    # Only now, as the compiler takes two seconds to import. Torch has no public names for what it raises.
    from torch._dynamo import config as dynamo
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch._inductor import config as inductor

    # Frozen parts never change: asking them at every call whether they did takes a millisecond. But graphs are kept
    # with the code they were made from, and with those guards gone nothing tells one model's graph from another's: so
    # each model compiles a copy of the function.
    options: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
    ours = method.__func__
    copied = types.FunctionType(ours.__code__.replace(), ours.__globals__, ours.__name__, ours.__defaults__)
    bound = types.MethodType(copied, method.__self__)
    graphs = torch.compile(bound, fullgraph=True, dynamic=False, options=options)
    # On a CPU weights that are constants are laid out once as its matrix products want them, and a step's two hundred
    # calls are themselves compiled: together 1.6 times the steps. Tracing looks for the first of these settings before
    # it reads the options of torch.compile.
    settings = inductor.patch(freezing=True, cpp_wrapper=True) if device.type == "cpu" else nullcontext()

    can = True

    def call(*given: Any) -> Any:
        nonlocal can
        try:
            if can:
                with settings:
                    return graphs(*given)
        except FailOnRecompileLimitHit:
            said = (
                f"{what} is compiled for {dynamo.recompile_limit} batch sizes and ways of sampling, the most that "
                "torch keeps, and goes on uncompiled with others, which is slower"
            )
            warnings.warn(said, RuntimeWarning, stacklevel=3)
        except TorchDynamoException as error:
            can = False
            said = f"{what} is not compiled ({reason(error)}) and goes on uncompiled, which is slower; {ADVICE}"
            warnings.warn(said, RuntimeWarning, stacklevel=3)
        return method(*given)

    return call
