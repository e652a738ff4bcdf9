"""A fit's state on disk: kills while saving, damage, and torch's own generator."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from genie_gym.errors import CheckpointError
from genie_gym.training.train_state import load_state, numpy_stream, save_state

PROGRESS = {"step": 3, "seconds": 1.5, "numpy": None, "metrics": {"psnr": 30.0}}


def parts(width: int = 4, seed: int = 0) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model, average = nn.Linear(width, 2), nn.Linear(width, 2)
    return model, average, torch.optim.AdamW(model.parameters())


def trained(width: int = 4) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    model, average, optimizer = parts(width)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(5, width)).square().sum().backward()
        optimizer.step()
    return model, average, optimizer


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "run" / "state.safetensors"
    save_state(path, *trained(), PROGRESS)
    return path


def test_everything_comes_back(tmp_path):
    model, average, optimizer = trained()
    path = tmp_path / "state.safetensors"
    save_state(path, model, average, optimizer, PROGRESS)
    noise = torch.rand(3)
    others = parts(seed=5)
    assert load_state(path, *others) == PROGRESS
    assert torch.equal(torch.rand(3), noise)
    assert torch.equal(others[0].weight, model.weight) and torch.equal(others[1].weight, average.weight)
    for mine, theirs in zip(
        optimizer.state_dict()["state"].values(), others[2].state_dict()["state"].values(), strict=True
    ):
        assert mine.keys() == theirs.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(theirs[key])) for key in mine)


def test_numpy_stream_goes_on():
    first = numpy_stream(None, seed=4)
    first.random(7)
    second = numpy_stream(first.bit_generator.state, seed=0)
    assert (first.random(5) == second.random(5)).all()
    assert (numpy_stream(None, 4).random(5) != numpy_stream(None, 5).random(5)).any()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(500))


def without(name: str, metadata: dict | None):
    def damage(path: Path) -> None:
        tensors = load_file(path)
        save_file({key: value for key, value in tensors.items() if key != name}, path, metadata)

    return damage


DAMAGES = {
    "cut": cut,
    "empty": empty,
    "noise": noise,
    "no progress": without("", None),
    "broken progress": without("", {"progress": "{"}),
    "a weight is missing": without("model/weight", {"progress": "{}"}),
    "no random stream": without("random/torch", {"progress": "{}"}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_said_with_what_to_do(saved, damage):
    damage(saved)
    with pytest.raises(CheckpointError, match=f"remove {saved.parent} to start this training again") as error:
        load_state(saved, *parts())
    assert "\n" not in str(error.value)


def test_a_model_of_other_sizes_is_refused(saved):
    with pytest.raises(CheckpointError, match="does not fit this model"):
        load_state(saved, *parts(width=5))


SAVE_FOR_EVER = """
import sys
from pathlib import Path
import torch
from torch import nn
from genie_gym.training.train_state import save_state
model, average = nn.Linear(700, 700), nn.Linear(700, 700)
optimizer = torch.optim.AdamW(model.parameters())
step = 0
while True:
    step += 1
    nn.init.constant_(model.weight, step)
    nn.init.constant_(average.weight, step)
    save_state(Path(sys.argv[1]), model, average, optimizer, {"step": step})
    print(step, flush=True)
"""


def test_a_kill_while_saving_leaves_a_whole_state(tmp_path):
    path = tmp_path / "state.safetensors"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SAVE_FOR_EVER, str(path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        process.stdout.readline()
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".*.partial")):  # it is in the middle of a save
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    model, average = nn.Linear(700, 700), nn.Linear(700, 700)
    progress = load_state(path, model, average, torch.optim.AdamW(model.parameters()))
    assert progress["step"] >= 3
    assert (model.weight == progress["step"]).all() and (average.weight == progress["step"]).all()
