"""Training with batches drawn as they are needed and drawn ahead: `python -m benchmarks.speed.feeding`.

Frames per second of the dynamics' training, with its clips read from the disk and tokenised at every step, without and
with a thread that draws the next batch meanwhile, in turn. Both learn from the same batches.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.experiment import Stopped, run_script
from benchmarks.common.machine import machine_facts, matmul_peak
from benchmarks.common.results import RESULTS, Figures, write_result
from benchmarks.speed.timing import TrainingStep
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.training.presets import get_preset
from genie_gym.training.stages import train_dynamics

WARM_UP = 3  # steps that are not counted
ON_CPU: dict[str, dict[str, Any]] = {
    "paper": {"batch_size": 1, "accumulate": 1}
}  # as a step of the preset's own would take minutes there


class TimedWindows(SequenceDataset):
    """Windows that note when a batch of them is asked for, and how long that takes."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.asked: list[float] = []
        self.frames: list[int] = []

    def sample(
        self, rng: np.random.Generator, batch: int, length: int | None = None, overhang: int = 0, group: int = 1
    ) -> Figures:
        self.asked.append(time.perf_counter())
        self.frames.append(batch * (length or self.length))
        return super().sample(rng, batch, length, overhang, group)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["tiny", "tiny-transformer", "paper"], help="presets to train")
    parser.add_argument("--data", type=Path, help="folder of a dataset; the toy game is recorded by default")
    parser.add_argument("--prefetch", nargs="+", type=int, default=[0, 1], help="how many batches wait; 0: none")
    parser.add_argument("--steps", type=int, default=20, help="optimiser steps of each run, after three to warm up")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    options = parser.parse_args()
    if options.steps < 2:  # the time between the first and the last is what counts
        parser.error(f"--steps must be 2 or more, got {options.steps}")
    return options


def frames_per_second(preset: str, dataset: EpisodeDataset, prefetch: int, options: argparse.Namespace) -> float:
    """Return how many frames a second a short training learns from."""
    chosen = get_preset(preset)
    length = chosen.dynamics_clip_lengths[0]
    smaller: dict[str, Any] = {} if torch.cuda.is_available() else ON_CPU.get(preset, {})
    torch.manual_seed(options.seed)
    tokenizer, dynamics = chosen.tokenizer.build(), chosen.dynamics_for(len(dataset.header["actions"])).build()
    windows, held_out = TimedWindows(dataset, length), SequenceDataset(dataset, length, [0])
    config = replace(
        chosen.dynamics_training,
        steps=WARM_UP + options.steps,
        minutes=None,
        **smaller,
        prefetch=prefetch,
        validate_every=10**9,
        log_every=10**9,
        seed=options.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        report = train_dynamics(dynamics, tokenizer, windows, held_out, config, Path(folder), (length,))
    if not report.finished:
        raise Stopped("a training")
    first, last = WARM_UP, WARM_UP + options.steps - 1
    return sum(windows.frames[first:last]) / (windows.asked[last] - windows.asked[first])


def measure(preset: str, dataset: EpisodeDataset, options: argparse.Namespace, peak: float) -> Figures:
    """Return the operations of a frame, and for each way what `describe` does."""
    rates: dict[int, list[float]] = {prefetch: [] for prefetch in options.prefetch}
    for _ in range(options.rounds):  # in turn, so that a busy moment of the machine affects all
        for prefetch, found in rates.items():
            found.append(frames_per_second(preset, dataset, prefetch, options))
    gflop = gflop_of_a_frame(preset, "cuda" if torch.cuda.is_available() else "cpu")
    ways = {f"prefetch {prefetch}": describe(found, gflop, peak) for prefetch, found in rates.items()}
    return {"gflop_a_frame": round(gflop, 2)} | ways


def describe(found: list[float], gflop: float, peak: float) -> Figures:
    """Return the median rate, the share of the peak that it takes with so many operations a frame, and all rates."""
    rate = float(np.median(found))
    share = round(rate * gflop / peak, 3)
    return {"frames_per_second": round(rate, 1), "share_of_peak": share, "runs": [round(one, 1) for one in found]}


def gflop_of_a_frame(preset: str, device: str) -> float:
    """Return the floating-point operations of the dynamics' training, in billions for each frame."""
    batch = 1 if device == "cpu" else get_preset(preset).dynamics_training.batch_size
    step = TrainingStep(preset, "dynamics", batch, device, "auto")
    return step.gflop() / (batch * step.frames_per_clip)


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    figures: Figures = {"threads": options.threads, "device": device, "steps": options.steps, "seed": options.seed}
    peak = matmul_peak(device)
    figures["peak_gflops"] = round(peak)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or collect("Toy-Numpy", steps=4000, out=scratch, seed=options.seed).folder
        for preset in options.presets:
            figures[preset] = measure(preset, EpisodeDataset(folder), options, peak)
    place = write_result(RESULTS / "feeding.json", figures, machine)
    print(json.dumps(json.loads(place.read_text()), indent=1))
    print(f"results in {place}")


if __name__ == "__main__":
    sys.exit(run_script(main))
