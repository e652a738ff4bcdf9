"""The checkpoint's optional part: the upscaler is kept, guarded by its checksum, and handed on to another model."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genie_gym.errors import CheckpointError
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.metadata import TrainingMetadata
from tests.checkpoint_files import part, read_config
from tests.conftest import untrained, untrained_upscaler

FRAMES = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(upscaled_checkpoint, tmp_path) -> Path:
    return Path(shutil.copytree(upscaled_checkpoint, tmp_path / "checkpoint"))


def test_the_upscaler_is_kept(folder):
    loaded, saved = Checkpoint.load(folder).upscaler, untrained_upscaler()
    assert loaded.config == saved.config
    assert torch.equal(loaded.upscale(FRAMES), saved.upscale(FRAMES))
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    listed = read_config(folder)["parts"]
    assert listed.keys() == {"model", "contexts", "upscaler"}
    assert listed["upscaler"]["sha256"] == hashlib.sha256(part(folder, "upscaler").read_bytes()).hexdigest()


def test_the_model_beside_it_is_the_same(folder, toy_checkpoint):
    with_it, without = Checkpoint.load(folder), Checkpoint.load(toy_checkpoint)
    assert without.upscaler is None
    for name, value in without.model.state_dict().items():
        assert torch.equal(value, with_it.model.state_dict()[name]), name


def test_saving_a_model_without_one_keeps_it(folder):
    new = replace(untrained(seed=5), metadata=TrainingMetadata(notes="new"))
    new.save(folder)
    loaded = Checkpoint.load(folder)
    assert torch.equal(loaded.upscaler.upscale(FRAMES), untrained_upscaler().upscale(FRAMES))
    assert loaded.metadata.notes == "new" and new.upscaler is None
    assert torch.equal(loaded.model.dynamics.embed.weight, new.model.dynamics.embed.weight)


def test_that_of_another_game_is_of_no_use(folder):
    untrained("SuperMarioBros-Nes").save(folder)
    assert Checkpoint.load(folder).upscaler is None and not list(folder.glob("upscaler*"))


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [flip_bit, Path.unlink, lambda path: os.truncate(path, 100)], ids=["a bit flipped", "missing", "cut"]
)
def test_damage_is_noticed(folder, damage):
    damage(part(folder, "upscaler"))
    with pytest.raises(
        CheckpointError, match=r"upscaler-\w*.safetensors is missing or damaged .*; copy the checkpoint"
    ):
        Checkpoint.load(folder)


@pytest.mark.parametrize("sizes", [{"widths": []}, {"widths": [4, 9]}, {"colours": 3}, 4], ids=str)
def test_other_sizes_are_noticed(folder, sizes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"upscaler": sizes}))
    with pytest.raises(CheckpointError, match="incomplete or damaged"):
        Checkpoint.load(folder)


def test_another_model_of_the_game_takes_it_over(tmp_path):
    old, new = replace(untrained(), upscaler=untrained_upscaler()), untrained(seed=5)
    old.metadata, new.metadata = TrainingMetadata("old", upscaler="31 dB"), TrainingMetadata("new")
    new.adopt_upscaler(old)
    new.save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert torch.equal(loaded.upscaler.upscale(FRAMES), old.upscaler.upscale(FRAMES))
    assert loaded.metadata == TrainingMetadata("new", upscaler="31 dB")
    assert "- upscaler: 31 dB" in (tmp_path / "README.md").read_text()

    new.adopt_upscaler(untrained())  # which has none
    assert new.upscaler is old.upscaler
    with pytest.raises(CheckpointError, match="an upscaler of Toy-Numpy is of no use to SuperMarioBros-Nes"):
        untrained("SuperMarioBros-Nes").adopt_upscaler(old)
