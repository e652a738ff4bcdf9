"""Threads, seeds, log levels and hooks are the caller's: whatever the package does, they are the same afterwards."""

import logging
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from genie_gym.analysis.inspect import inspect
from genie_gym.errors import DataError
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.training.finetune import finetune
from genie_gym.training.world_model import train
from genie_gym.utils.compile import compiler_errors_as_config_errors
from genie_gym.web_export.step import write_step
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.sampling import SamplingConfig
from tests.conftest import untrained
from tests.toy_play import record
from tests.training.test_world_model import OVERRIDES


def global_state() -> dict[str, object]:
    loggers = [
        logging.getLogger(name)
        for name in ("", "torch._dynamo", "torch.onnx", "torch", "lightning.fabric", "genie_gym")
    ]
    numpy = np.random.get_state()
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": (numpy[1].tolist(), numpy[2:]),
        "python": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic),
        "benchmark": torch.backends.cudnn.benchmark,
        "matrix products": (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32),
        "gradients": torch.is_grad_enabled(),
        "logs": [(logger.level, logger.disabled, len(logger.filters)) for logger in loggers],
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "printing": np.get_printoptions(),
    }


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("recording") / "toy", episodes=6, steps=40)


def step(recording: Path, checkpoint: str, out: Path) -> None:
    env = gym.make("GenieRedux/Toy-v0", checkpoint=checkpoint)
    env.reset(seed=0)
    env.step(1)


def fit(recording: Path, checkpoint: str, out: Path) -> None:
    train("Toy-Numpy", data=recording, out=out / "out", run=out / "run", threads=2, preset_overrides=OVERRIDES)


def tune(recording: Path, checkpoint: str, out: Path) -> None:
    finetune(checkpoint, data=(recording,), run=out / "run", decoder_steps=1, dynamics_steps=1, threads=2)


def refuse(recording: Path, checkpoint: str, out: Path) -> None:
    for call in (lambda **data: train("Toy-Numpy", **data), lambda **data: evaluate(checkpoint, **data)):
        with pytest.raises(DataError, match="no-such-folder"):
            call(data=out / "no-such-folder", threads=2)


def save(recording: Path, checkpoint: str, out: Path) -> None:
    kept = torch.get_rng_state()
    model = untrained()
    torch.set_rng_state(kept)
    model.save(out / "new")
    model.save(out / "new")


def compiling(recording: Path, checkpoint: str, out: Path) -> None:
    with compiler_errors_as_config_errors():
        assert logging.getLogger("torch._dynamo").getEffectiveLevel() >= logging.ERROR


def judge(recording: Path, checkpoint: str, out: Path) -> None:
    evaluate(checkpoint, data=recording, clips=4, context=2, num_rollouts=2, long_steps=20, out=out, threads=2)


def look(recording: Path, checkpoint: str, out: Path) -> None:
    inspect(checkpoint, data=recording, clips=4, out=out, threads=2)


def export(recording: Path, checkpoint: str, out: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install genie_gym[web]")
    model = Checkpoint.load(checkpoint).model
    write_step(model, SamplingConfig(steps=1), out / "step.onnx")


@pytest.mark.parametrize(
    "act", [step, fit, tune, judge, look, export, refuse, save, compiling], ids=lambda act: act.__name__
)
def test_what_is_the_callers_is_left_alone(act: Callable, recording, toy_checkpoint, tmp_path, monkeypatch):
    hooks = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hook: hooks.append(hook))
    torch.manual_seed(3)
    before = global_state()
    act(recording, toy_checkpoint, tmp_path)
    after = global_state()
    assert {name for name in before if before[name] != after[name]} == set()
    assert hooks == []


FORKS = """
import os, sys, gymnasium as gym, genie_gym, torch
torch.set_num_threads(2)
env = gym.make("GenieRedux/Toy-v0", checkpoint=sys.argv[1])
env.reset(seed=0)
for use in (False, True):
    child = os.fork()
    if not child:
        if use:
            env.step(0)
        print(torch.get_num_threads(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(torch.get_num_threads())
"""


def test_a_forked_process_has_one_thread_only_once_it_steps(toy_checkpoint):
    answer = subprocess.run([sys.executable, "-c", FORKS, toy_checkpoint], capture_output=True, text=True, timeout=120)
    assert answer.stdout.split() == ["2", "1", "2"], answer.stderr
