"""Compilation by torch of frozen models and of training, with plain messages where it fails."""

import logging
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from genie_gym.errors import ConfigError

__all__ = ["compile_for_training", "compile_frozen", "compiler_errors_as_config_errors"]

ADVICE = "install a C++ compiler (apt install g++), or leave compile out"


def compile_frozen(method: Any, device: torch.device, what: str) -> Callable:
    """Return a method of a frozen model compiled into one graph for each combination of input shapes.

    A graph is compiled when it is first needed. If that fails, a RuntimeWarning says so and the method runs uncompiled:
    from then on, or, where torch already keeps as many graphs as it allows, with these shapes.

    Args:
        method: Bound method of a frozen module.
        device: Device of the module.
        what: What the method does, for the warning: "the step".
    """
    # Imported here, as the compiler takes two seconds to import. Torch has no public names for these exceptions.
    from torch._dynamo import config as dynamo
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch._inductor import config as inductor

    # Frozen modules never change: checking them at every call takes a millisecond. But graphs are kept with the code
    # they were made from, and without those guards nothing tells one model's graph from another's: so each model
    # compiles a copy of the function.
    options: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
    function = method.__func__
    copied = types.FunctionType(
        function.__code__.replace(), function.__globals__, function.__name__, function.__defaults__
    )
    bound = types.MethodType(copied, method.__self__)
    compiled = torch.compile(bound, fullgraph=True, dynamic=False, options=options)
    # On a CPU constant weights are laid out once as its matrix products want them, and a step's two hundred calls are
    # themselves compiled: together 1.6 times as fast. Tracing reads the first of these settings before the options of
    # torch.compile.
    settings = inductor.patch(freezing=True, cpp_wrapper=True) if device.type == "cpu" else nullcontext()

    failed = False

    def call(*inputs: Any) -> Any:
        nonlocal failed
        try:
            if not failed:
                with settings:
                    return compiled(*inputs)
        except FailOnRecompileLimitHit:
            _warn(
                f"{what} is compiled for {dynamo.recompile_limit} batch sizes and ways of sampling, the most that "
                "torch keeps, and goes on uncompiled with others, which is slower"
            )
        except TorchDynamoException as error:
            failed = True
            _warn(f"{what} is not compiled ({_reason(error)}) and goes on uncompiled, which is slower; {ADVICE}")
        return method(*inputs)

    return call


def compile_for_training(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a module whose forward and backward pass are compiled, for each clip length at its first step.

    If torch cannot compile even a sum, for want of a C++ compiler for instance, a RuntimeWarning says so and the module
    is returned as it is.
    """
    try:
        torch.compile(torch.add, dynamic=False)(torch.ones(2, device=device), 1)
    except Exception as error:  # the compiler's many stages have errors of their own
        _warn(
            f"torch cannot compile here ({_reason(error)}) and training goes on uncompiled, which is slower; {ADVICE}"
        )
        return model
    return torch.compile(model, dynamic=False)  # type: ignore[return-value]


@contextmanager
def quiet_compiler(log: str = "torch._dynamo") -> Iterator[None]:
    """Let the compiler, or the exporter of that log, log errors only.

    A forward pass in training is two graphs with a condition between them, whether the warm-up is over. A log line
    about it would help nobody.
    """
    logger = logging.getLogger(log)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def compiler_errors_as_config_errors() -> Iterator[None]:
    """Turn errors of the compiler in the middle of training into ConfigError."""
    # Imported here, as the compiler takes two seconds to import; torch has no public name for this exception.
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    try:
        with quiet_compiler():
            yield
    except TorchDynamoException as error:
        raise ConfigError(
            f"torch cannot compile this training ({_reason(error)}); if an earlier run was killed while it compiled, "
            f"remove {cache_dir()}; or leave compile out"
        ) from error


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _reason(error: Exception) -> str:
    """What went wrong without torch's long report; the report's first line may name only the compiler."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.endswith("raised:")]
    return lines[0][:200] if lines else type(error).__name__
