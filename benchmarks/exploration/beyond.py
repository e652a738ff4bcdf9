"""Coverage beyond the paper's reward: `python -m benchmarks.exploration.beyond GAME --work FOLDER`.

Explorers on the paper's reward, with habituation alone, with frontier restarts alone, and with both, beside random
play: how many cells they visit in as many real steps, and which share of the frames of an agent that PPO trained on the
game's own reward they come upon. One world model of random episodes rewards all of them. Resumable: rerun the same
command; a folder of `exploration` with the same options serves both, and what it holds is not trained again. Writes
beyond-<game>.json and .md to --out.
"""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import made_with
from benchmarks.common.results import Figures, markdown_table, mean_and_deviation, write_page
from benchmarks.exploration.experiment import BEYOND, ExplorationExperiment, common_options
from benchmarks.exploration.exploration import FIXED

COLUMNS = ("visited cells", "test frames come upon, %", "least of the seeds, %")


def read_options() -> argparse.Namespace:
    parser = common_options(__doc__)
    default = ["random", "autoexplore", "habituation", "frontier", "both"]
    choices = ["random", "autoexplore", *BEYOND]
    parser.add_argument("--policies", nargs="+", default=default, choices=choices, help="what is compared")
    parser.add_argument("--steps", type=int, default=30_000, help="real steps that an explorer learns from")
    parser.add_argument("--agent-steps", type=int, default=200_000, help="steps that the test agent learns from")
    parser.add_argument("--frames", type=int, default=10_000, help="frames of the test agent")
    parser.add_argument("--clips", type=int, default=96, help="as in `exploration`, to share its folder; has no effect")
    return parser.parse_args()


def run(experiment: ExplorationExperiment) -> Figures:
    """Return for each policy and seed what it visited."""
    seeds = range(experiment.options.seeds)
    policies = {policy: [visited(experiment, policy, seed) for seed in seeds] for policy in experiment.options.policies}
    return {"policies": policies, "test": experiment.test_dataset()[1]}


def visited(experiment: ExplorationExperiment, policy: str, seed: int) -> Figures:
    """Return the number of cells that a policy visited, and the share of the test frames that lie in them."""
    return {
        "visited_cells": experiment.training_dataset(policy, seed)[1],
        "coverage": experiment.coverage(policy, seed),
    }


def write(game: str, figures: Figures, facts: Figures, out: Path) -> None:
    """Write beyond-<game>.json and .md."""
    path = out / f"beyond-{game}"
    write_page(path, {"game": game, **facts, **figures}, page(game, figures, facts))


def page(game: str, figures: Figures, facts: Figures) -> list[str]:
    """Return the paragraphs of the page."""
    test = figures["test"]
    return [
        f"# Coverage of {game} with habituation and frontier restarts",
        "Cells visited in the real steps that each explorer learned from, and in as many of random play, and the share "
        "of the frames of an agent trained on the game's own reward that lie in those cells. Mean and standard "
        "deviation over seeds.",
        table(figures["policies"]),
        f"The test agent learned for {test['steps']:,} steps; its mean return was {test['returns'][-1]:.1f} at last.",
        f"Made with {made_with(facts)}.",
    ]


def table(policies: dict[str, list[Figures]]) -> str:
    """Return a Markdown table with a row for each policy."""
    rows = []
    for name, seeds in policies.items():
        cells, shares = [row["visited_cells"] for row in seeds], [100 * row["coverage"] for row in seeds]
        rows.append([name, mean_and_deviation(cells), mean_and_deviation(shares), f"{min(shares):.1f}"])
    return markdown_table(["policy", *COLUMNS], rows)


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    experiment = ExplorationExperiment(options, FIXED)
    figures = run(experiment)
    write(experiment.game, figures, experiment.facts("beyond"), options.out)


if __name__ == "__main__":
    sys.exit(run_script(main))
