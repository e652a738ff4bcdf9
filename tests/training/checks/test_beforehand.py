"""Checks that are made before long work rather than after it."""

import shutil

import pytest

from genie_gym.errors import DataError
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.training import world_model
from genie_gym.training.checks.beforehand import bytes_needed
from genie_gym.training.finetune import finetune
from tests.conftest import untrained
from tests.toy_play import record
from tests.training.test_world_model import OVERRIDES


@pytest.fixture
def no_training(monkeypatch):
    def never(*_: object, **__: object):
        raise AssertionError("the training has begun")

    for module in ("stages", "joint", "upscaler"):
        monkeypatch.setattr(f"genie_gym.training.{module}.run_training", never)


def train(data, place, **options):
    overrides = {**OVERRIDES, **options.pop("preset", {})}
    given = {"out": place / "out", "run": place / "run", **options}
    return world_model.train("Toy-Numpy", data=data, preset_overrides=overrides, **given)


def test_a_checkpoint_that_cannot_be_written(tmp_path, no_training):
    data = record(tmp_path / "toy", episodes=3, steps=20)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        train(data, tmp_path, out=tmp_path / "file" / "out")
    with pytest.raises(DataError, match="cannot write"):
        train(data, tmp_path, run=tmp_path / "file" / "run")


def test_a_disk_that_is_too_small(tmp_path, no_training, monkeypatch):
    data = record(tmp_path / "toy", episodes=3, steps=20)
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(DataError, match=r"needs about \d+ MiB, and its disk has 0 MiB free"):
        train(data, tmp_path)
    assert not (tmp_path / "run").exists()


def test_episodes_that_are_too_short_for_the_last_stage(tmp_path, no_training):
    data = record(tmp_path / "toy", episodes=3, steps=8)  # the tokenizer's windows of 4 frames fit
    with pytest.raises(DataError, match="no window of 30 frames fits"):
        train(data, tmp_path, preset={"dynamics_clip_lengths": (30,)})
    assert not (tmp_path / "run").exists()


def test_finetuning_on_a_single_episode(tmp_path, no_training):
    base = untrained()
    base.save(tmp_path / "base")
    data = record(tmp_path / "toy", episodes=1, steps=20)
    with pytest.raises(DataError, match="single episode"):
        finetune(str(tmp_path / "base"), data=(data,), run=tmp_path / "run")


def test_size_of_a_training_state(tmp_path):
    """Counted on the disk."""
    sizes = {"dim": 16, "heads": 2, "window": 3, "codes": 32, "code_dim": 4}
    tokenizer = TokenizerConfig(patch=16, encoder_blocks=1, decoder_blocks=1, **sizes)
    dynamics = DynamicsConfig(4, blocks=1, side=4, **sizes)
    data = record(tmp_path / "toy", episodes=3, steps=20)
    train(data, tmp_path)
    written = [file.stat().st_size for file in (tmp_path / "run").glob("*/state.safetensors")]
    assert len(written) == 2
    assert bytes_needed([tokenizer, dynamics]) == pytest.approx(sum(written) + max(written), rel=0.3)
