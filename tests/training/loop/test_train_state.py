"""A fit's state on disk: kills while saving, damage, and torch's own generator."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from genie_gym.errors import CheckpointError
from genie_gym.training.loop.train_state import SavedProgress, load_state, save_state
from genie_gym.world_model.checksum import checksum
from tests.conftest import LONG
from tests.fuzz import damage_json, mutate_bytes

PROGRESS = SavedProgress(3, 1.5, {"psnr": 30.0}, validated=2)


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
    others = parts(seed=5)
    assert load_state(path, *others) == PROGRESS
    assert torch.equal(others[0].weight, model.weight) and torch.equal(others[1].weight, average.weight)
    for mine, theirs in zip(
        optimizer.state_dict()["state"].values(), others[2].state_dict()["state"].values(), strict=True
    ):
        assert mine.keys() == theirs.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(theirs[key])) for key in mine)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(500))


def sealed(path: Path, tensors: dict, metadata: dict | None) -> None:
    """Whoever damages a file can count its checksum, too."""
    if metadata is not None:
        metadata = metadata | {"sha256": checksum(tensors, metadata["progress"])}
    save_file(tensors, path, metadata)


def without(name: str, metadata: dict | None):
    def damage(path: Path) -> None:
        tensors = load_file(path)
        sealed(path, {key: value for key, value in tensors.items() if key != name}, metadata)

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


def test_no_flipped_bit_of_a_value_goes_unnoticed(saved):
    whole, rng = saved.read_bytes(), np.random.default_rng(0)
    values = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(50):
        damaged = bytearray(whole)
        damaged[int(rng.integers(values, len(whole)))] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="checksum"):
            load_state(saved, *parts())


def test_a_model_of_other_sizes_is_refused(saved):
    with pytest.raises(CheckpointError, match="does not fit this model"):
        load_state(saved, *parts(width=5))


SAVE_FOR_EVER = """
import sys
from pathlib import Path
import torch
from torch import nn
from genie_gym.training.loop.train_state import SavedProgress, save_state
model, average = nn.Linear(700, 700), nn.Linear(700, 700)
optimizer = torch.optim.AdamW(model.parameters())
step = 0
while True:
    step += 1
    nn.init.constant_(model.weight, step)
    nn.init.constant_(average.weight, step)
    save_state(Path(sys.argv[1]), model, average, optimizer, SavedProgress(step))
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
    assert progress.step >= 3
    assert (model.weight == progress.step).all() and (average.weight == progress.step).all()


@pytest.mark.parametrize("inputs", [150, pytest.param(10_000, marks=LONG)])
def test_any_file_loads_or_is_refused(saved, inputs):
    """Flipped bits anywhere and in the header; or sound tensors beside any progress."""
    rng, content, tensors = np.random.default_rng(inputs), saved.read_bytes(), load_file(saved)
    header = 8 + int.from_bytes(content[:8], "little")
    for number in range(inputs):
        if number % 3 == 0:
            saved.write_bytes(mutate_bytes(rng, content))
        elif number % 3 == 1:
            saved.write_bytes(mutate_bytes(rng, content[:header]) + content[header:])
        else:
            sealed(saved, tensors, {"progress": damage_json(rng, asdict(PROGRESS)).decode(errors="replace")})
        model, average, optimizer = parts()
        try:
            load_state(saved, model, average, optimizer)
        except CheckpointError as error:
            assert str(error).isprintable() and len(str(error)) < 1000
        else:
            model(torch.ones(1, 4)).sum().backward()
            optimizer.step()


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused(saved, put):
    saved.unlink()
    put(saved)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_state(saved, *parts())
