"""A training that is killed again and again: nothing of it is damaged, nothing goes back, and its end is the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from genie_gym.training.presets import PRESETS
from genie_gym.training.world_model import train
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.checksum import checksum
from tests.conftest import LONG
from tests.kills import kills
from tests.miniature import MINIATURE
from tests.toy_play import record

STEPS = 8
RECIPE = replace(MINIATURE.dynamics_training, steps=STEPS, save_every=0.0, validate_every=3)  # saved after every step


def steps_of(run: Path) -> dict[str, int]:
    """The steps of each stage that the disk has, once it is clear that its state is as it was written."""
    found = {}
    for path in run.glob("*/state.safetensors"):
        with safe_open(path, "pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        assert checksum(tensors, metadata["progress"]) == metadata["sha256"]
        found[path.parent.name] = json.loads(metadata["progress"])["step"]
    return found


def same_weights(one: Path, other: Path) -> bool:
    mine, theirs = (Checkpoint.load(folder).model.state_dict() for folder in (one, other))
    return mine.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in mine.items())


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, pytest.param(200, marks=LONG)])
def test_many_kills_damage_nothing_and_change_nothing(tmp_path, monkeypatch, number):
    monkeypatch.setitem(PRESETS, "often", replace(MINIATURE, tokenizer_training=RECIPE, dynamics_training=RECIPE))
    own = {"preset": "often", "data": record(tmp_path / "data", 4, 60)}
    train("toy", run=tmp_path / "whole", out=tmp_path / "expected", **own)
    run, out = tmp_path / "run", tmp_path / "out"
    before: dict[str, int] = {}
    reached = set()
    for died in kills(lambda: train("toy", run=run, out=out, **own), number, share=0.3):
        now = steps_of(run)
        assert all(now[stage] >= steps for stage, steps in before.items())
        assert not out.exists() or same_weights(out, tmp_path / "expected")
        before = now
        reached |= {tuple(sorted(now.items()))}
        if not died:  # it begins anew, and replaces the checkpoint at its end
            assert now == {"tokenizer": STEPS, "dynamics": STEPS} and out.exists()
            shutil.rmtree(run)
            before = {}
    assert len(reached) >= min(number, 20) // 5  # killed at different steps; with few kills on a busy machine, at one
    train("toy", run=run, out=out, **own)
    assert same_weights(out, tmp_path / "expected")
