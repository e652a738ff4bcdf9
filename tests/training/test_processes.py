"""Two processes of torchrun train as one that has both of their batches, and speak with one voice."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from genie_gym.cli import main
from genie_gym.data import EpisodeDataset
from genie_gym.models.codebook import Codebook, EuclideanCodebook
from genie_gym.training.loop.trainer import run_training
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from tests.training.loop.small_models import CONFIG, Joined, Line, clips, line_batch, make, nothing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BEGIN = """
import os, sys, time
from dataclasses import replace
from pathlib import Path
import torch
from safetensors.torch import save_file
from tests.ctrl_c import StopAfter
from tests.training.test_processes import *
folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
"""


def say(*words: object) -> None:
    """Write a line at once: torchrun's processes are unbuffered, and `print` writes the end of the line by itself."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


STEPS, FIRST, SECOND = 20, 7, 13  # of a run that is interrupted twice


class Quantised(nn.Module):
    """An encoder, a codebook and a decoder without any noise of their own."""

    def __init__(self, kind: type[nn.Module] = Codebook, revive: bool = False) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(27, 4), nn.Linear(4, 27)
        self.codebook = kind(16, 4, decay=0.8, min_usage=0.5 if revive else -1.0)
        if kind is Codebook:
            self.codebook.started.fill_(not revive)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        pixels = batch["frames"].unfold(-2, 3, 3).unfold(-2, 3, 3).movedim(2, -3).flatten(-3)
        codes, _, commitment = self.codebook(self.encoder(pixels))
        loss = (self.decoder(codes) - pixels).square().mean() + commitment
        return loss, {"loss_again": loss.detach()}


def quantised(kind: type[nn.Module], revive: bool = False) -> Quantised:
    torch.manual_seed(0)
    return Quantised(kind, revive)


def torchrun(script: str, *arguments: object) -> str:
    """Run a script in two processes; return what they print."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    file = Path(arguments[0]) / "script.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(BEGIN + script)
    answer = subprocess.run(
        [*command, "--", str(file), *map(str, arguments)],  # or --run would be taken for torchrun's --run-path
        env=environment,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


TOGETHER = """
for name, model, sample in (
    ("line", make(Line), line_batch),
    ("sphere", quantised(Codebook), clips),
    ("space", quantised(EuclideanCodebook), clips),
    ("revived", quantised(Codebook, revive=True), clips),
):
    report = run_training(model, sample, nothing, replace(CONFIG, prefetch=1), folder / name)
    save_file(model.state_dict(), folder / f"{name}-{rank}.safetensors")
fast = replace(CONFIG, steps=None, minutes=0.5 / 60)
if rank == 1:
    clock = time.monotonic
    time.monotonic = lambda: 1000 * clock()
report = run_training(make(Line), line_batch, nothing, fast, folder / "clock")
say("clock", rank, report.steps, report.seconds, report.finished)
"""


def test_two_processes_are_one_with_twice_the_batch(tmp_path):
    printed = torchrun(TOGETHER, tmp_path)
    models = {"line": make(Line), "sphere": quantised(Codebook), "space": quantised(EuclideanCodebook)}
    for name, model in models.items():
        sample = Joined(line_batch if name == "line" else clips, lambda step: 2)
        run_training(model, sample, nothing, CONFIG, tmp_path / f"one-{name}")
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in range(2))
        for key, value in model.state_dict().items():
            assert torch.equal(first[key], second[key]), key
            torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-4)
        untrained = make(Line) if name == "line" else quantised(type(model.codebook))
        assert not torch.allclose(next(untrained.parameters()), next(model.parameters()), atol=1e-3)
    revived, other = (load_file(tmp_path / f"revived-{rank}.safetensors") for rank in range(2))
    assert all(torch.equal(value, other[key]) for key, value in revived.items())
    clocks = re.findall(r"clock (\d) (\d+) ([\d.]+) (\w+)", printed)
    assert len(clocks) == 2 and clocks[0][1:] == clocks[1][1:]  # the same steps, by the clock of the first
    assert int(clocks[0][1]) > 3 and float(clocks[0][2]) < 20 and clocks[0][3] == "True"
    validations = re.findall(r"training: validation at step (\d+)", printed)
    assert validations.count("20") == 4  # one line for each of the four


RESUME = f"""
sample = line_batch
if sys.argv[2] == "first" and rank == 1:  # either may be told to stop
    sample = StopAfter(line_batch, {FIRST})
report = run_training(make(Line, seed=rank), sample, nothing, CONFIG, folder)
say("ended", report.steps, report.finished)
"""


def test_a_run_goes_on_with_one_process_and_with_two_again(tmp_path):
    folder = tmp_path / "run"
    assert torchrun(RESUME, folder, "first").count(f"ended {FIRST} False") == 2
    alone = run_training(make(Line), stop_at(SECOND - FIRST), nothing, CONFIG, folder)
    assert (alone.steps, alone.finished) == (SECOND, False)
    assert torchrun(RESUME, folder, "last").count(f"ended {STEPS} True") == 2
    whole = make(Line)
    sample = Joined(line_batch, lambda step: 1 if FIRST <= step < SECOND else 2)
    run_training(whole, sample, nothing, CONFIG, tmp_path / "whole")
    resumed = make(Line)
    run_training(resumed, line_batch, nothing, CONFIG, folder)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def stop_at(step: int):
    from tests.ctrl_c import StopAfter

    return StopAfter(line_batch, step)


COMMAND = """
from genie_gym.cli import main
from genie_gym.training.presets import PRESETS
from tests.miniature import MINIATURE
PRESETS["miniature"] = MINIATURE
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("options", [[], ["--latent-actions", "3", "--joint"]])
def test_a_whole_training_speaks_and_writes_once(tmp_path, home, capfd, options):
    main(["collect", "toy", "--episodes", "4", "--max-steps", "60", "--workers", "1", "--policy", "sticky"])
    before = set(home.rglob("*"))
    out = tmp_path / "weights"
    printed = torchrun(COMMAND, tmp_path, "train", "toy", "--preset", "miniature", "--out", out, *options)
    lines = [line for line in printed.splitlines() if line.strip()]
    assert len(lines) == len(set(lines)) and sum("world model of Toy-Numpy" in line for line in lines) == 1
    model = Checkpoint.load(out).model
    assert (model.latent_actions is None) == (not options)
    events = [path for path in set(home.rglob("events.out*")) - before]
    assert len({path.parent for path in events}) == len(events)  # one file of TensorBoard for each stage
    assert len(EpisodeDataset(paths.data_dir("Toy-Numpy"))) == 4
