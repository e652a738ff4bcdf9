"""Coverage beyond the paper's reward: `python -m benchmarks.exploration.beyond GAME --work FOLDER`.

Explorers on the paper's reward, with habituation alone, with frontier restarts alone, and with both, beside random
play: how many cells they visit in as many real steps, and which share of the frames of an agent that PPO trained on the
game's own reward they come upon; in Super Mario Bros. also how far they scroll the levels. One world model of random
episodes rewards all of them. Resumable: rerun the same command; a folder of `exploration` with the same options serves
both, and what it holds is not trained again. Writes beyond-<game>.json and .md to --out.
"""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import made_with
from benchmarks.common.results import Figures, markdown_table, mean_and_deviation, write_page
from benchmarks.exploration.coverage import scrolled_pixels
from benchmarks.exploration.experiment import BEYOND, ExplorationExperiment, common_options
from benchmarks.exploration.exploration import FIXED

MARIO = "SuperMarioBros-Nes"
# Titles and scales of what is told of each policy, where it is known.
COLUMNS = {
    "visited_cells": ("visited cells", 1),
    "coverage": ("test frames come upon, %", 100),
    "scrolled": ("levels scrolled, pixels", 1),
}


def read_options() -> argparse.Namespace:
    parser = common_options(__doc__)
    default = ["random", "autoexplore", "habituation", "frontier", "both"]
    choices = ["random", "autoexplore", *BEYOND]
    parser.add_argument("--policies", nargs="+", default=default, choices=choices, help="what is compared")
    parser.add_argument("--steps", type=int, default=30_000, help="real steps that an explorer learns from")
    parser.add_argument("--frontier", type=float, default=1.0, help="share of episodes that begin at the frontier")
    parser.add_argument("--agent-steps", type=int, default=200_000, help="steps of the test agent; 0: none")
    parser.add_argument("--frames", type=int, default=10_000, help="frames of the test agent")
    parser.add_argument("--clips", type=int, default=96, help="as in `exploration`, to share its folder; has no effect")
    return parser.parse_args()


def run(experiment: ExplorationExperiment) -> Figures:
    """Return for each policy and seed what it visited."""
    seeds = range(experiment.options.seeds)
    policies = {policy: [visited(experiment, policy, seed) for seed in seeds] for policy in experiment.options.policies}
    test = experiment.test_dataset()[1] if experiment.options.agent_steps else None
    return {"policies": policies, "test": test}


def visited(experiment: ExplorationExperiment, policy: str, seed: int) -> Figures:
    """Return the number of cells that a policy visited, the share of the test frames in them, and how far it went."""
    found: Figures = {"visited_cells": experiment.training_dataset(policy, seed)[1]}
    if experiment.options.agent_steps:
        found["coverage"] = experiment.coverage(policy, seed)
    if experiment.game == MARIO:
        found["scrolled"] = scrolled_pixels(experiment.training_positions(policy, seed))
    return found


def write(game: str, figures: Figures, facts: Figures, out: Path) -> None:
    """Write beyond-<game>.json and .md."""
    path = out / f"beyond-{game}"
    write_page(path, {"game": game, **facts, **figures}, page(game, figures, facts))


def page(game: str, figures: Figures, facts: Figures) -> list[str]:
    """Return the paragraphs of the page."""
    paragraphs = [
        f"# Coverage of {game} with habituation and frontier restarts",
        "Cells visited in the real steps that each explorer learned from, and in as many of random play, and the share "
        "of the frames of an agent trained on the game's own reward that lie in those cells; of Super Mario Bros. how "
        "far its levels were scrolled, each as far as it was at most. Mean and standard deviation over seeds.",
        table(figures["policies"]),
    ]
    if test := figures["test"]:
        learned = f"The test agent learned for {test['steps']:,} steps"
        paragraphs.append(f"{learned}; its mean return was {test['returns'][-1]:.1f} at last.")
    return [*paragraphs, f"Made with {made_with(facts)}."]


def table(policies: dict[str, list[Figures]]) -> str:
    """Return a Markdown table with a row for each policy."""
    known = [name for name in COLUMNS if name in next(iter(policies.values()))[0]]
    rows = []
    for policy, seeds in policies.items():
        columns = [[COLUMNS[name][1] * row[name] for row in seeds] for name in known]
        rows.append([policy, *(mean_and_deviation(column) for column in columns), f"{min(columns[-1]):.1f}"])
    return markdown_table(["policy", *(COLUMNS[name][0] for name in known), "least of the seeds"], rows)


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    experiment = ExplorationExperiment(options, FIXED)
    figures = run(experiment)
    write(experiment.game, figures, experiment.facts("beyond"), options.out)


if __name__ == "__main__":
    sys.exit(run_script(main))
