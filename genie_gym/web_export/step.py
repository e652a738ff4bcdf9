"""The step of a world model as an ONNX graph: a function of state, action and random numbers, with caches as tensors.

Shapes: n tokens a frame, s side of a frame in pixels.
"""

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genie_gym.envs.state import tensors_of
from genie_gym.models.uncertainty import token_entropy
from genie_gym.utils.compile import quiet_compiler
from genie_gym.utils.extras import require
from genie_gym.world_model import WorldModel
from genie_gym.world_model.model import RolloutState
from genie_gym.world_model.sampling import SamplingConfig

__all__ = ["INPUTS", "OUTPUTS", "named_tensors", "write_step"]

INPUTS = ("action", "given", "noise")  # beside the state
OUTPUTS = ("frame", "reward", "termination_prob", "terminated", "entropy")  # likewise
OPSET = 18
UNUSED = "seeds"  # random numbers come from outside


def named_tensors(state: RolloutState) -> list[tuple[str, Tensor]]:
    """Return the tensors of a state of one rollout, whatever its caches are: "past.blocks.0.memory" and others."""
    return [(name, tensor) for name, tensor in tensors_of(state) if name != UNUSED]


def write_step(model: WorldModel, sampling: SamplingConfig, path: Path) -> None:
    """Write the step of a single rollout to an ONNX file.

    Its inputs are "action" int64 (1,), -1 for none; "given" int64 (1, n), tokens in place of sampled ones, -1 where
    they are to be sampled; "noise" float (1, `WorldModel.numbers_per_step`); and the state's tensors by name. Its
    outputs are "frame" uint8 (1, s, s, 3), "reward" and "termination_prob" float (1,), "terminated" bool (1,),
    "entropy" float (1, n), see `token_entropy`, and the next state's tensors as "next." and their name.
    """
    require("onnxscript")
    state = model.empty_state(1)
    names = [name for name, _ in named_tensors(state)]
    inputs = (
        torch.zeros(1, dtype=torch.int64),
        torch.full((1, model.tokens), -1),
        torch.full((1, model.numbers_per_step(sampling)), 0.5),
        *(tensor for _, tensor in named_tensors(state)),
    )
    with torch.no_grad(), quiet_compiler("torch.onnx"):  # it warns of packages that nothing here uses
        program = torch.export.export(_Step(model, sampling, state), inputs, strict=False)
        onnx = torch.onnx.export(
            program,
            inputs,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            custom_translation_table={torch.ops.aten.searchsorted.Tensor: _searchsorted()},
            input_names=[*INPUTS, *names],
            output_names=[*OUTPUTS, *(f"next.{name}" for name in names)],
        )
    assert onnx is not None
    onnx.save(path)


class _Step(nn.Module):
    """The step, with the tensors of the state as arguments and results.

    Args:
        model: The world model.
        sampling: How tokens are sampled.
        example: A state of one rollout, for its structure.
    """

    def __init__(self, model: WorldModel, sampling: SamplingConfig, example: RolloutState):
        super().__init__()
        self.model, self.sampling, self.example = model, sampling, example

    def forward(self, action: Tensor, given: Tensor, noise: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return what `write_step` lists."""
        state = _with_tensors(self.example, iter(tensors))
        outcome = self.model.advance(state, action, noise, self.sampling, given)
        entropy = token_entropy(outcome.logits)
        results = (outcome.frames, outcome.rewards, outcome.termination_prob, outcome.terminated, entropy)
        return *results, *(tensor for _, tensor in named_tensors(state))


def _with_tensors(state: Any, tensors: Iterator[Tensor]) -> Any:
    """Return a state of the same structure with copies of other tensors, in the order of `named_tensors`."""
    if isinstance(state, Tensor):
        return next(tensors).clone()
    if isinstance(state, list):
        return [_with_tensors(item, tensors) for item in state]
    if is_dataclass(state):
        unused = {key: value for key, value in vars(state).items() if key == UNUSED}
        used = {key: _with_tensors(value, tensors) for key, value in vars(state).items() if key != UNUSED}
        return type(state)(**used, **unused)  # type: ignore[operator,misc]
    return state


def _searchsorted() -> Any:
    """ONNX has no searchsorted: how many of the sorted numbers are not larger is the same."""
    from onnxscript import INT64, opset18

    op: Any = opset18

    def searchsorted(sorted_sequence: Any, values: Any, **_: Any) -> Any:
        smaller = op.Cast(op.LessOrEqual(sorted_sequence, values), to=INT64.dtype)
        return op.ReduceSum(smaller, op.Constant(value_ints=[-1]), keepdims=1)

    return searchsorted
