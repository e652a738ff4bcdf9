"""The training loop stopped in every way: exact resume, signals, and what is saved when."""

import copy
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from genie_gym.errors import ConfigError
from genie_gym.training.loop.trainer import run_training
from tests.ctrl_c import StopAfter
from tests.training.loop.small_models import CONFIG, Line, Noisy, clips, line_batch, make, nothing


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_fits_go_on_to_the_bit(tmp_path, number):
    config, whole = CONFIG, make(Noisy)
    run_training(whole, clips, nothing, config, tmp_path / "whole")

    pieces = make(Noisy)
    first = run_training(pieces, StopAfter(clips, 10, number), nothing, config, tmp_path / "pieces")
    assert (first.finished, first.steps) == (False, 10)
    assert any(not torch.equal(a, b) for a, b in zip(whole.parameters(), pieces.parameters(), strict=True))
    again = make(Noisy, seed=9)  # a new process knows nothing
    torch.rand(5)
    second = run_training(again, clips, nothing, config, tmp_path / "pieces")
    assert (second.finished, second.steps) == (True, 20)
    for (name, value), other in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert whole.tokenizer.codebook.started and whole.tokenizer.steps == 20


def test_handlers_of_signals_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run_training(make(Line), line_batch, nothing, replace(CONFIG, steps=2), tmp_path)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_finished_fit_trains_no_further(tmp_path):
    model = make(Line)
    metrics = run_training(model, line_batch, lambda m: {"bias": m.layer.bias[0]}, CONFIG, tmp_path).metrics
    before = copy.deepcopy(model.state_dict())
    again = make(Line, seed=3)

    def never(*_: object) -> dict:
        raise AssertionError("nothing is left to do")

    report = run_training(again, never, never, CONFIG, tmp_path)
    assert report.finished and report.steps == 20 and report.metrics == metrics
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())


SUBPROCESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from dataclasses import replace
from tests.training.loop.small_models import CONFIG, Line, line_batch, make, nothing
from genie_gym.training.loop.trainer import run_training

def slow(rng, size):
    time.sleep(0.01)
    print("step", flush=True)
    return line_batch(rng, size)

report = run_training(make(Line), slow, nothing, replace(CONFIG, steps=3000), Path(sys.argv[2]))
print("stopped after", report.steps, report.finished, flush=True)
"""


def test_sigterm_saves_and_the_next_process_goes_on(tmp_path):
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    command = [sys.executable, "-c", SUBPROCESS, str(root), str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        process.stdout.readline()
    with pytest.raises(ConfigError, match="another process is training in"):
        run_training(make(Line), line_batch, nothing, CONFIG, tmp_path)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    words = printed.split("stopped after ")[1].split()
    steps = int(words[0])
    assert 5 <= steps < 3000 and words[1] == "False"

    pieces, whole = make(Line), make(Line)
    config = replace(CONFIG, steps=3000)
    assert run_training(pieces, StopAfter(line_batch, 7), nothing, config, tmp_path).steps == steps + 7
    run_training(whole, StopAfter(line_batch, steps + 7), nothing, config, tmp_path / "whole")
    assert torch.equal(whole.layer.weight, pieces.layer.weight)


def test_a_signal_during_the_last_validation_stops_what_would_come_next(tmp_path):
    def validate(model: nn.Module) -> dict:
        os.kill(os.getpid(), signal.SIGTERM)
        return {"seen": 1.0}

    config = replace(CONFIG, validate_every=100)
    assert not run_training(make(Line), line_batch, validate, config, tmp_path).finished
    report = run_training(make(Line), line_batch, validate, config, tmp_path)  # nothing of this stage was left
    assert report.finished and report.steps == 20 and report.metrics == {"seen": 1.0}


def test_saves_now_and_then(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("genie_gym.training.loop.trainer.save_state", lambda *args: saved.append(args[-1].step))
    run_training(make(Line), line_batch, nothing, replace(CONFIG, steps=4, save_every=0.0), tmp_path)
    assert saved == [1, 2, 3, 4, 4]


def test_what_a_killed_save_left_is_cleared_away(tmp_path):
    (tmp_path / ".state.safetensors.12345678.partial").write_bytes(b"half")
    run_training(make(Line), line_batch, nothing, replace(CONFIG, steps=2), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "state.safetensors", "tensorboard"]


class Killed(BaseException):
    """The process is gone: nothing else runs."""


def test_a_run_that_was_killed_before_its_last_validation_is_validated_when_resumed(tmp_path):
    config = replace(CONFIG, save_every=0.0)

    def validated(steps: list[int]):
        def validate(model: nn.Module) -> dict:
            steps.append(len(steps))
            if len(steps) == 3:  # steps 8 and 16, then the end
                raise Killed
            return {"bias": model.layer.bias[0]}

        return validate

    with pytest.raises(Killed):
        run_training(make(Line), line_batch, validated([]), config, tmp_path)
    model = make(Line, seed=3)
    report = run_training(model, line_batch, lambda m: {"bias": m.layer.bias[0]}, config, tmp_path)
    assert report.finished and report.steps == 20
    assert report.metrics["bias"] == pytest.approx(model.layer.bias[0].item())
