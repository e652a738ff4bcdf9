"""Two processes that have half of a model each (FSDP2) train as one that has all of it and both of their batches."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from genie_gym.cli import main
from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.models.codebook import Codebook, EuclideanCodebook
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import run_training
from genie_gym.training.presets import get_preset
from genie_gym.world_model import Checkpoint
from tests.training.loop.small_models import CONFIG, SIZES, Joined, Line, clips, line_batch, make, nothing
from tests.training.test_processes import COMMAND, FIRST, RESUME, SECOND, STEPS, quantised, stop_at, torchrun

SHARDED = replace(CONFIG, shard=True)


class Wide(nn.Module):
    """A tokenizer, whose transformers are divided block by block, without any noise of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(replace(SIZES, warmup=0))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2)
        self.tokenizer.codebook.started.fill_(True)
        self.tokenizer.codebook.min_usage = -1.0

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        return self.tokenizer(batch)


MODELS = {
    "line": (lambda: make(Line), line_batch, {}),
    "sphere": (lambda: quantised(Codebook), clips, {}),
    "space": (lambda: quantised(EuclideanCodebook), clips, {}),
    "accumulated": (lambda: make(Line), line_batch, {"accumulate": 2}),
    "wide": (lambda: make(Wide), clips, {}),
    "recomputed": (lambda: make(Wide), clips, {"recompute": True}),
}


def parts_of(folder: Path) -> list[int]:
    """Sizes of the files of a sharded state in bytes."""
    state = json.loads((folder / "state.json").read_text())
    assert sorted(path.name for path in folder.glob("shards-*")) == [state["folder"]]
    return [(folder / state["folder"] / name).stat().st_size for name in state["files"]]


TOGETHER = """
from tests.training.loop.test_sharding import *
for name, (build, sample, options) in MODELS.items():
    model = build()
    if rank == 1:  # what counts is what the first process has
        for value in model.parameters():
            value.data.add_(1)
    run_training(model, sample, nothing, replace(SHARDED, **options), folder / name)
    assert all(type(one) is nn.Parameter for one in model.parameters()) and not model.training
    save_file(model.state_dict(), folder / f"{name}-{rank}.safetensors")
"""


@pytest.mark.slow
def test_two_sharded_processes_are_one_with_twice_the_batch(tmp_path):
    torchrun(TOGETHER, tmp_path)
    for name, (build, sample, options) in MODELS.items():
        model, number = build(), 2 * options.get("accumulate", 1)
        before = [one.clone() for one in model.parameters()]
        run_training(model, Joined(sample, lambda step, n=number: n), nothing, CONFIG, tmp_path / f"one-{name}")
        assert not all(torch.allclose(*two, atol=1e-3) for two in zip(before, model.parameters(), strict=True))
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in range(2))
        for key, value in model.state_dict().items():
            assert torch.equal(first[key], second[key]), key
            torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-4)
    sizes = parts_of(tmp_path / "wide")
    assert len(sizes) == 2 and max(sizes) < 0.6 * sum(sizes)  # neither process had more than about a half


@pytest.mark.slow
def test_a_sharded_run_goes_on_with_one_process_and_with_two_again(tmp_path):
    folder, script = tmp_path / "run", RESUME.replace("CONFIG, folder", "replace(CONFIG, shard=True), folder")
    assert torchrun(script, folder, "first").count(f"ended {FIRST} False") == 2
    assert len(parts_of(folder)) == 2
    alone = run_training(make(Line), stop_at(SECOND - FIRST), nothing, SHARDED, folder)
    assert (alone.steps, alone.finished, len(parts_of(folder))) == (SECOND, False, 1)
    assert torchrun(script, folder, "last").count(f"ended {STEPS} True") == 2
    whole = make(Line)
    sample = Joined(line_batch, lambda step: 1 if FIRST <= step < SECOND else 2)
    run_training(whole, sample, nothing, CONFIG, tmp_path / "whole")
    resumed = make(Line)
    run_training(resumed, line_batch, nothing, SHARDED, folder)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-4, atol=1e-5)


THREADS = """
import atexit
def say_threads():
    say("threads", [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()])
atexit.register(say_threads)  # what is registered first comes last
run_training(make(Line), line_batch, nothing, replace(CONFIG, shard=True), folder)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux, which names threads there")
def test_no_thread_of_a_group_outlives_the_training(tmp_path):
    """One that still ran when the interpreter ended aborted about one in a hundred processes."""
    lines = [line for line in torchrun(THREADS, tmp_path / "run").splitlines() if line.startswith("threads")]
    assert len(lines) == 2 and not any("gloo" in line for line in lines)


@pytest.mark.slow
def test_a_sharded_world_is_an_ordinary_checkpoint(tmp_path, home):
    main(["collect", "toy", "--episodes", "4", "--max-steps", "60", "--workers", "1", "--policy", "sticky"])
    for way in (["--shard"], []):
        out = tmp_path / f"weights{len(way)}"
        folders = ["--out", str(out), "--run", str(tmp_path / f"run{len(way)}")]
        torchrun(COMMAND, tmp_path, "train", "toy", "--preset", "miniature", *folders, *way)
    whole, sharded = (Checkpoint.load(tmp_path / f"weights{number}") for number in (0, 1))
    assert sharded.model.tokenizer.config == whole.model.tokenizer.config
    for name, value in whole.model.tokenizer.state_dict().items():
        torch.testing.assert_close(sharded.model.tokenizer.state_dict()[name], value, rtol=1e-2, atol=1e-3)
    assert main(["evaluate", str(tmp_path / "weights1"), "--clips", "2", "--long-steps", "0"]) == 0


def stopped(folder: Path) -> Path:
    """A run of one process that was stopped, with its state in shards."""
    run_training(make(Line), stop_at(FIRST), nothing, SHARDED, folder)
    return folder


def test_one_process_resumes_to_the_bit(tmp_path):
    whole, resumed = make(Line), make(Line, seed=9)
    run_training(whole, line_batch, nothing, CONFIG, tmp_path / "whole")
    report = run_training(resumed, line_batch, nothing, SHARDED, stopped(tmp_path / "run"))
    assert report.steps == STEPS
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_what_is_damaged_or_foreign_is_refused(tmp_path):
    folder = stopped(tmp_path / "run")
    text = (folder / "state.json").read_text()
    (shard,) = folder.glob("shards-*/*")
    content = bytearray(shard.read_bytes())
    for damaged in (content[:-1], content[:-5] + bytes([content[-5] ^ 1]) + content[-4:], b""):
        shard.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=f"remove {folder} to start"):
            run_training(make(Line), line_batch, nothing, SHARDED, folder)
    shard.write_bytes(content)
    for other in (
        "[]",
        "{}",
        text.replace("shards-", "../shards-"),
        text.replace('"step": 7', '"step": -7'),
        text[:-9],
    ):
        (folder / "state.json").write_text(other)
        with pytest.raises(CheckpointError, match=f"remove {folder} to start"):
            run_training(make(Line), line_batch, nothing, SHARDED, folder)
    (folder / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match="does not fit this model"):
        run_training(quantised(Codebook), clips, nothing, SHARDED, folder)
    assert run_training(make(Line), line_batch, nothing, SHARDED, folder).finished


def test_a_save_that_was_killed_changes_nothing(tmp_path):
    folder = stopped(tmp_path / "run")
    (used,) = (path.name for path in folder.glob("shards-*"))
    other = folder / ("shards-b" if used == "shards-a" else "shards-a")
    other.mkdir()
    (other / "shard-00001-model-00001-of-00001.safetensors").write_bytes(b"half")
    (other / "shard-00009-model-00001-of-00001.safetensors").write_bytes(b"of more processes")
    report = run_training(make(Line), line_batch, nothing, SHARDED, folder)
    assert report.finished and len(parts_of(folder)) == 1
    assert run_training(make(Line), line_batch, nothing, SHARDED, folder).steps == STEPS


def test_what_cannot_be_sharded_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"Muon .* whole matrices; leave out --shard"):
        get_preset("tiny").plan(None, 0, shard=True)
    with pytest.raises(ConfigError, match="would be compiled"):
        TrainerConfig(steps=1, shard=True, compile=True)
    folder = stopped(tmp_path / "run")
    with pytest.raises(ConfigError, match="begun with --shard; give it again"):
        run_training(make(Line), line_batch, nothing, CONFIG, folder)
    run_training(make(Line), stop_at(FIRST), nothing, CONFIG, tmp_path / "whole")
    with pytest.raises(ConfigError, match="begun without --shard; leave it out"):
        run_training(make(Line), line_batch, nothing, SHARDED, tmp_path / "whole")
