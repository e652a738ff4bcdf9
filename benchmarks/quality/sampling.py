"""How frames are best sampled: `python -m benchmarks.quality.sampling Airstriker-Genesis --data FOLDER`.

For several sampling configurations: what a step costs, how close short predictions are, and how lifelike long rollouts
stay. Each is kept in --work as soon as it is measured. Resumable: rerun the same command. Writes sampling.json, .md and
.png to --out, by default benchmarks/results. The frontier is drawn over the time per step against the Frechet distance
late in long rollouts, since sharper sampling gains decibels at t = 4 but freezes whatever waits.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from benchmarks.common.evaluation import evaluate_model, fourth_step
from benchmarks.common.experiment import Experiment, run_script
from benchmarks.common.options import model_options
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_page
from genie_gym.data import EpisodeDataset
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint, SamplingConfig
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint

CONFIGURATIONS = [  # defaults: 1 step, random order, temperature 1, min_p 0.02
    *(SamplingConfig(steps=steps) for steps in (1, 2, 4, 8, 25)),
    *(SamplingConfig(steps=steps, order="confidence") for steps in (2, 8)),
    *(SamplingConfig(steps=steps, temperature=0.7) for steps in (1, 2)),
    SamplingConfig(steps=1, temperature=0.0),
    SamplingConfig(steps=2, temperature=0.0, order="confidence"),
    SamplingConfig(steps=8, temperature=0.0, order="confidence"),
    *(SamplingConfig(steps=steps, min_p=0.1) for steps in (1, 2)),
]


def read_options() -> argparse.Namespace:
    parser = model_options(__doc__)
    parser.add_argument("--clips", type=int, default=96, help="clips to predict")
    parser.add_argument("--long-steps", type=int, default=300, help="steps of long rollouts")
    parser.add_argument("--num-rollouts", type=int, default=16, help="number of long rollouts")
    work = paths.home() / "runs" / "sampling"
    parser.add_argument("--work", type=Path, default=work, help="folder of all runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    path = resolve_checkpoint(options.checkpoint)
    checkpoint = load_checkpoint(path, options.device, "auto")
    dataset = EpisodeDataset(options.data or paths.data_dir(checkpoint.game["name"]))
    sizes = {name: getattr(options, name) for name in ("clips", "long_steps", "num_rollouts")}
    settings = sizes | {"seed": 0, "threads": options.threads}
    experiment = Experiment(options.work, {"checkpoint": path, "dataset": str(dataset.folder), **settings})
    rows = measure(experiment, checkpoint, dataset, sizes)
    result = {"game": checkpoint.game["name"], "settings": settings, "rows": rows, "machine": experiment.machine()}
    write_page(options.out / "sampling", result, [table(rows)])
    plot(rows, options.out / "sampling.png")


def measure(experiment: Experiment, checkpoint: Checkpoint, dataset: EpisodeDataset, sizes: Figures) -> list[Figures]:
    """Return the configuration and the figures of each way to sample."""
    times = experiment.run("times", lambda folder: {"ms": step_times(checkpoint, CONFIGURATIONS)})[1]["ms"]
    rows = []
    for sampling, milliseconds in zip(CONFIGURATIONS, times, strict=True):
        name = "-".join(str(value) for value in asdict(sampling).values())
        score = experiment.run(name, partial(evaluated, checkpoint, dataset, sampling, sizes))[1]
        rows.append(asdict(sampling) | {"ms": round(milliseconds, 2)} | score)
        print(json.dumps(rows[-1]), flush=True)
    return rows


def step_times(checkpoint: Checkpoint, configurations: list[SamplingConfig], rounds: int = 20) -> list[float]:
    """Return the median milliseconds of a step of one rollout; all take turns, so that a busy moment affects all."""
    contexts = checkpoint.initial_contexts
    states = [checkpoint.model.start(contexts["frames"][:1], contexts["actions"][:1])[0] for _ in configurations]
    times = np.zeros((rounds, len(configurations)))
    for i in range(rounds):
        for j, (state, sampling) in enumerate(zip(states, configurations, strict=True)):
            started = time.perf_counter()
            checkpoint.model.step(state, torch.zeros(1, dtype=torch.int64), sampling).frames.cpu()
            times[i, j] = time.perf_counter() - started
    return list(np.median(times, 0) * 1e3)


def evaluated(
    checkpoint: Checkpoint, dataset: EpisodeDataset, sampling: SamplingConfig, sizes: Figures, folder: Path
) -> Figures:
    """Return the figures of the table for one way to sample; nothing is written to the folder."""
    figures = evaluate_model(
        checkpoint,
        dataset,
        clips=sizes["clips"],
        horizon=4,
        sampling=sampling,
        long_steps=sizes["long_steps"],
        num_rollouts=sizes["num_rollouts"],
    ).to_dict()
    fourth, long = fourth_step(figures)["autoregressive"], figures["long_horizon"]
    found = {
        "psnr_t4": fourth["psnr"],
        "moving_psnr_t4": fourth["moving_psnr"],
        "delta_psnr": fourth["delta_psnr"],
        "frechet_late": long["frechet"]["late"],
        "frechet_real": long["frechet"]["real"],
    }
    if long["sprite"]:
        found |= {"player": long["sprite"]["overall"], "doubled": long["sprite"]["doubled"]}
    return {name: round(value, 3) for name, value in found.items()}


def table(rows: list[Figures]) -> str:
    """Return a Markdown table with a row for each way to sample."""
    heads = list(rows[0])
    return markdown_table(heads, [[row.get(head, "") for head in heads] for row in rows], left=0)


def plot(rows: list[Figures], path: Path) -> None:
    """Plot both qualities over the time per step."""
    figure = Figure(figsize=(11, 4.5), layout="tight")
    late, near = figure.subplots(1, 2)
    _plot_quality(late, rows, "frechet_late", "Frechet distance late in long rollouts")
    _plot_quality(near, rows, "psnr_t4", "PSNR at t = 4, dB")
    late.axhline(rows[0]["frechet_real"], color="gray", linestyle=":", label="real against real")
    late.set_yscale("log")
    late.legend()
    figure.savefig(path, dpi=110)


def _plot_quality(axes: Any, rows: list[Figures], key: str, label: str) -> None:
    for row in rows:
        name = f"{row['steps']} {row['order'][:4]} T={row['temperature']}"
        if row["min_p"] != SamplingConfig().min_p:
            name += f" min_p={row['min_p']}"
        axes.plot(row["ms"], row[key], "o", color="tab:blue" if row["order"] == "random" else "tab:orange")
        axes.annotate(name, (row["ms"], row[key]), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.set(xscale="log", xlabel="ms per step of one rollout", ylabel=label)
    axes.margins(x=0.2)
    ticks = sorted({row["steps"]: row["ms"] for row in rows}.values())
    axes.set_xticks(ticks, [f"{ms:.0f}" for ms in ticks])
    axes.set_xticks([], minor=True)


if __name__ == "__main__":
    sys.exit(run_script(main))
