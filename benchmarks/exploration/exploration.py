"""What explorers find, and what refits on it bring: `python -m benchmarks.exploration.exploration GAME --work FOLDER`.

A world model is trained on random episodes. Explorers on AutoExplore's reward and on the baselines', and a random
agent, are then recorded for equally many real frames: how many cells they visit, and how well the model predicts their
episodes (harder data teach it more: the paper's table 6). The cells visited in training are counted too, beside those
of as many random frames, and the reward is drawn over the real steps. The model is then refitted on all episodes of
each agent, half of the clips from its training and half from the recording of the trained agent, in equally many steps,
and scored on episodes of an agent that PPO trained on the game's own reward (table 5): no agent costs more real frames
than another. Resumable: rerun the same command. Several games can share --work, each in a process of its own, and so
can refits of other lengths. Writes exploration-<game>.json, .md and .png to --out.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import made_with
from benchmarks.common.results import Curve, Figures, markdown_table, mean_and_deviation, read_values, write_page
from benchmarks.exploration.experiment import ExplorationExperiment, add_refit_options, common_options

FIXED = ("base_frames", "train_steps", "steps", "frames", "clips", "envs")  # the same in all calls with the same --work

Reader = Callable[[Figures], float | None]


def read_options() -> argparse.Namespace:
    parser = common_options(__doc__)
    rewards = ["autoexplore", "vae_features", "random_features"]
    parser.add_argument(
        "--rewards",
        nargs="+",
        default=rewards,
        choices=[*rewards, "rnd", "pretrained"],
        help="rewards of the explorers; pretrained: AutoExplore's, after as many steps in imagination alone",
    )
    parser.add_argument(
        "--refits",
        nargs="*",
        default=["random", "autoexplore"],
        help="policies to refit the model on; evaluation: the agent of the test set, an upper limit",
    )
    parser.add_argument("--steps", type=int, default=120_000, help="real steps that an explorer learns from")
    parser.add_argument("--agent-steps", type=int, default=200_000, help="steps that the evaluation agent learns from")
    add_refit_options(parser)
    return parser.parse_args()


DATASETS: dict[str, Reader] = {
    "visited cells in training": lambda row: row["training_cells"],
    "first reward": lambda row: _tenth(row["reward_curve"], 0),
    "last reward": lambda row: _tenth(row["reward_curve"], 9),
    "visited cells": lambda row: row["visited_cells"],
    "positions": lambda row: row["positions"],
    "PSNR t = 4, dB": lambda row: row["autoregressive"]["psnr"],
    "moving pixels, dB": lambda row: row["autoregressive"]["moving_psnr"],
    "reconstruction, dB": lambda row: row["reconstruction"],
    "uncertainty": lambda row: row["uncertainty"],
}
REFITS: dict[str, Any] = {
    f"{name} t = 4, {way.replace('_', ' ')}": lambda row, way=way, key=key: row[way][key]
    for way in ("single_pass", "autoregressive")
    for name, key in (("PSNR", "psnr"), ("SSIM", "ssim"), ("delta-PSNR", "delta_psnr"))
}
REFITS["coverage of the test frames"] = lambda row: row.get("coverage")  # unknown without a refit


def run(experiment: ExplorationExperiment) -> Figures:
    """Return all figures of the experiment's game."""
    datasets = {policy: scored_datasets(experiment, policy) for policy in ("random", *experiment.options.rewards)}
    test, evaluation_agent = experiment.test_dataset()
    refits = {"not refitted": [experiment.score("test/not-refitted", experiment.base_model(), test)]}
    for policy in experiment.options.refits:
        refits[policy] = [experiment.refit_score(policy, seed) for seed in range(experiment.options.seeds)]
    return {"datasets": datasets, "refits": refits, "test": evaluation_agent}


def scored_datasets(experiment: ExplorationExperiment, policy: str) -> list[Figures]:
    """Return for each seed what a policy visited, and how well the model predicts it."""
    rows = []
    for seed in range(experiment.options.seeds):
        data, states = experiment.dataset(policy, seed)
        cells, curve = experiment.training_dataset(policy, seed)[1], experiment.reward_curve(policy, seed)
        score = experiment.score(f"base/{policy}-{seed}", experiment.base_model(), data)
        rows.append({"training_cells": cells, "reward_curve": curve, **states, **score})
    return rows


def write(game: str, figures: Figures, facts: Figures, out: Path) -> None:
    """Write exploration-<game>.json, .md and .png."""
    path = out / f"exploration-{game}"
    write_page(path, {"game": game, **facts, **figures}, page(game, figures, facts, path.name))
    plot(figures, path.with_suffix(".png"))


def page(game: str, figures: Figures, facts: Figures, name: str) -> list[str]:
    """Return the paragraphs of the page."""
    return [
        f"# What explorers find in {game}, and what refits on it bring",
        "Cells visited in the real frames that each explorer learned from, and in as many random frames. Then episodes "
        "of each agent on equally many real frames, and how well a world model of random episodes predicts them: the "
        "lower, the more it could learn from them. Mean and standard deviation over seeds.",
        table(figures["datasets"], DATASETS, "policy"),
        "The model refitted on all episodes of each agent, half of the clips from its training and half from the "
        "trained agent, scored on episodes of an agent trained on the game's own reward. The coverage is the share of "
        "the test frames whose cells the agent of the refit visited while it learned.",
        table(figures["refits"], REFITS, "refitted on"),
        about_evaluation_agent(figures["test"]),
        f"![visited cells, error of the model, and gain of the refit]({name}.png)",
        f"Made with {made_with(facts)}.",
    ]


def about_evaluation_agent(test: Figures) -> str:
    """Return a sentence on how far the evaluation agent has come."""
    steps, first, last = test["steps"], test["returns"][0], test["returns"][-1]
    returns = f"its mean return was {first:.1f} at first and {last:.1f} in the end"
    return f"The evaluation agent learned for {steps:,} steps; {returns}."


def table(rows: dict[str, list[Figures]], columns: dict[str, Reader], kind: str) -> str:
    """Return a Markdown table of mean and deviation over the seeds of each policy, without empty columns."""
    everything = [row for seeds in rows.values() for row in seeds]
    shown = {title: read for title, read in columns.items() if any(read(row) is not None for row in everything)}
    cells = [[mean_and_deviation([read(row) for row in seeds]) for read in shown.values()] for seeds in rows.values()]
    return markdown_table([kind, *shown], [[name, *row] for name, row in zip(rows, cells, strict=True)])


def _tenth(curve: Curve, index: int) -> float | None:
    """Return the mean reward of one tenth of the steps; None if a short training has no point there."""
    tenth = curve[-1][0] / 10 if curve else 0
    rewards = [reward for steps, reward in curve if index * tenth < steps <= (index + 1) * tenth]
    return float(np.mean(rewards)) if rewards else None


def plot(figures: Figures, path: Path) -> None:
    """Plot visited cells and PSNR with a point for each seed, and the reward over the real steps."""
    panels: tuple[tuple[str, str, Reader], ...] = (
        ("datasets", "visited cells in training", DATASETS["visited cells in training"]),
        ("datasets", "visited cells", DATASETS["visited cells"]),
        ("datasets", "PSNR t = 4 of the model on the dataset, dB", DATASETS["PSNR t = 4, dB"]),
        ("refits", "PSNR t = 4 on the test set after a refit, dB", REFITS["PSNR t = 4, autoregressive"]),
    )
    figure, policies = Figure(figsize=(21, 2.6), layout="constrained"), list(figures["datasets"])
    *points, curves = figure.subplots(1, len(panels) + 1)
    for (part, label, read), axes in zip(panels, points, strict=True):
        _plot_points(axes, figures[part], read, policies)
        axes.set(xlabel=label)
    for index, seeds in enumerate(figures["datasets"].values()):
        for row in seeds:
            if row["reward_curve"]:
                curves.plot(*zip(*row["reward_curve"], strict=True), color=f"C{index}", alpha=0.5)
    curves.set(xlabel="real steps", ylabel="reward")
    figure.savefig(path, dpi=110)


def _plot_points(axes: Any, rows: dict[str, list[Figures]], read: Reader, policies: list[str]) -> None:
    for height, (policy, seeds) in enumerate(rows.items()):
        color = f"C{policies.index(policy)}" if policy in policies else "grey"
        values = [read(row) for row in seeds]
        axes.plot(values, [height] * len(seeds), "o", color=color, alpha=0.5)
        axes.plot(read_values(values).mean(), height, "k|", markersize=18)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    experiment = ExplorationExperiment(options, FIXED)
    figures = run(experiment)
    write(experiment.game, figures, experiment.facts("exploration"), options.out)


if __name__ == "__main__":
    sys.exit(run_script(main))
