"""What pretraining in imagination saves: `python -m benchmarks.exploration.imagination_pretraining GAME --work FOLDER`.

A world model is trained on random episodes. One explorer learns from AutoExplore's reward in the real game alone,
another in imagination alone, and a third in the real game after what the second learned. The reward and the visited
cells of the first and the third are compared over the real steps. Resumable: rerun the same command. Model and
explorers are those of exploration.py with the same --work and sizes. Writes imagination-pretraining-<game>.json, .md
and .png to --out.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import made_with
from benchmarks.common.results import Curve, Figures, markdown_table, mean_and_deviation, write_page
from benchmarks.exploration.experiment import (
    CELLS_CURVE,
    REWARD_CURVE,
    ExplorationExperiment,
    common_options,
    read_curve,
)

POLICIES = {"autoexplore": "real game alone", "pretrained": "pretrained in imagination"}
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the real steps, after which the two are compared
COLUMNS = {"reward": "reward", "visited_cells": "visited cells"}
FIXED = ("base_frames", "train_steps", "steps", "envs")  # the same in all calls with the same --work
Curves = dict[str, list[dict[str, Curve]]]  # by policy: for each seed the curves "reward" and "visited_cells"


def read_options() -> argparse.Namespace:
    parser = common_options(__doc__)
    parser.add_argument("--steps", type=int, default=30_000, help="real steps of an explorer, and imagined ones")
    return parser.parse_args()


def training_curves(experiment: ExplorationExperiment, policy: str, seed: int) -> dict[str, Curve]:
    """Return the reward and the number of visited cells after each update of an explorer."""
    agent, _ = experiment.explorer(policy, seed)
    return {"reward": read_curve(agent, REWARD_CURVE), "visited_cells": read_curve(agent, CELLS_CURVE)}


def cells_after(row: dict[str, Curve], share: float) -> float:
    """Return the number of cells visited after a share of the real steps."""
    steps, cells = np.array(row["visited_cells"]).T
    return float(np.interp(share * steps[-1], steps, cells))


def reward_before(row: dict[str, Curve], share: float) -> float:
    """Return the mean reward of the tenth of the steps that ends after a share of the real steps."""
    steps, rewards = np.array(row["reward"]).T
    end = share * steps[-1]
    return float(rewards[(steps > end - 0.1 * steps[-1]) & (steps <= end)].mean())


def steps_to_reach(row: dict[str, Curve], target: float) -> float | None:
    """Return the real steps until so many cells were visited; None if they never were."""
    steps, cells = np.array(row["visited_cells"]).T
    return float(np.interp(target, cells, steps)) if cells[-1] >= target else None


def compare(curves: Curves) -> Figures:
    """Return the figures of each seed by policy and share of the steps, and the real steps to half of the baseline."""
    figures: Figures = {
        policy: {
            f"{share:.0%}": {
                "reward": [reward_before(row, share) for row in rows],
                "visited_cells": [cells_after(row, share) for row in rows],
            }
            for share in SHARES
        }
        for policy, rows in curves.items()
    }
    pairs = zip(curves["pretrained"], curves["autoexplore"], strict=True)
    saved = [steps_to_reach(pretrained, cells_after(baseline, 0.5)) for pretrained, baseline in pairs]
    return figures | {"steps_to_baseline_half": saved}


def write(game: str, curves: Curves, facts: Figures, out: Path) -> None:
    """Write imagination-pretraining-<game>.json, .md and .png."""
    path, figures = out / f"imagination-pretraining-{game}", compare(curves)
    result = {"game": game, **facts, "figures": figures, "curves": curves}
    write_page(path, result, page(game, figures, facts, path.name))
    plot(curves, path.with_suffix(".png"))


def page(game: str, figures: Figures, facts: Figures, name: str) -> list[str]:
    """Return the paragraphs of the page."""
    steps = ["never" if steps is None else f"{steps:,.0f}" for steps in figures["steps_to_baseline_half"]]
    return [
        f"# What pretraining in imagination saves in {game}",
        "Explorers on AutoExplore's reward: in the real game alone, or after "
        f"{facts['settings']['steps']:,} steps in imagination alone. After a share of the real steps: the mean reward "
        "of the last tenth of all steps, and the number of visited cells. Mean and standard deviation over seeds.",
        table(figures),
        "The pretrained explorer had visited as many cells as the other after half of its real steps after "
        f"{', '.join(steps)} real steps (seed by seed).",
        f"![reward and visited cells over real steps]({name}.png)",
        f"Made with {made_with(facts)}.",
    ]


def table(figures: Figures) -> str:
    """Return a Markdown table with a row for each policy."""
    heads = ["explorer", *(f"{title}, {share:.0%}" for title in COLUMNS.values() for share in SHARES)]
    rows = [
        [title, *(mean_and_deviation(row[key]) for key in COLUMNS for row in figures[policy].values())]
        for policy, title in POLICIES.items()
    ]
    return markdown_table(heads, rows)


def plot(curves: Curves, path: Path) -> None:
    """Plot both curves of every seed."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, 2), COLUMNS.items(), strict=True):
        for index, (policy, rows) in enumerate(curves.items()):
            for number, row in enumerate(rows):
                label = POLICIES[policy] if number == 0 else None
                axes.plot(*zip(*row[key], strict=True), color=f"C{index}", alpha=0.6, label=label)
        axes.set(xlabel="real steps", ylabel=title)
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    experiment = ExplorationExperiment(options, FIXED)
    curves = {
        policy: [training_curves(experiment, policy, seed) for seed in range(options.seeds)] for policy in POLICIES
    }
    write(experiment.game, curves, experiment.facts("imagination_pretraining"), options.out)


if __name__ == "__main__":
    sys.exit(run_script(main))
