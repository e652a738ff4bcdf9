"""The paper's tables 2 to 6 at a size of your choice: `python -m benchmarks.paper 2 --scale cpu`.

Every run (a dataset, an agent, a model, an evaluation) is kept in --work, and tables share what they have in common.
Resumable: rerun the same command. Writes JSON, Markdown and a plot with the paper's figures beside ours to --out, by
default benchmarks/results/paper. Seeds that are there already, of the same sizes and games, are kept and others are
added, whichever machine measured them; delete a table's JSON to measure it anew.

Tables 2 and 3 are made of CoinRun, which needs Procgen (see README.md; add the extra sb3), 4 to 6 of two Atari
platformers (`genie-gym roms import --ale`), and all of the toy game at the scale `smoke`; --game takes any other. One
model can learn several games if their actions are the same, as they are on one console.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.common.experiment import command_line, run_script
from benchmarks.common.machine import join_machines
from benchmarks.common.results import RESULTS, Figures
from benchmarks.paper.experiment import PaperExperiment, label
from benchmarks.paper.page import add_seed, read, write
from benchmarks.paper.scales import SCALES
from benchmarks.paper.table import Table
from genie_gym import games
from genie_gym.errors import ConfigError
from genie_gym.utils import paths

TABLES = ("2", "3", "4", "5", "6")


def read_options() -> argparse.Namespace:
    scales = "\n".join(f"  {name}: {scale.about}" for name, scale in SCALES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper",
        description=f"{__doc__}\nScales:\n{scales}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", choices=(*TABLES, "all"))
    parser.add_argument("--scale", choices=SCALES, default="cpu", help="sizes of all runs")
    parser.add_argument("--game", nargs="+", dest="games", help="games of the table")
    parser.add_argument("--many", nargs="+", help="tables 4 to 6: games to learn before those (the paper's 200)")
    parser.add_argument("--perceptual", action="store_true", help="FID too; says which weights it needs")
    parser.add_argument("--seeds", type=int, help="number of seeds; the scale's own by default")
    parser.add_argument("--work", type=Path, help="folder of all runs; below the data folder by default")
    parser.add_argument("--threads", type=int, help="CPU threads; torch decides by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "paper", help="folder of the results")
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    """Raise ConfigError if a number is out of range."""
    for name in ("seeds", "threads"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ConfigError(f"{name} must be 1 or more, got {getattr(options, name)}")


def make(number: str, options: argparse.Namespace) -> None:
    """Make one table and write it after each seed; seeds that it has already are not measured again."""
    table: Table = import_module(f"benchmarks.paper.table{number}").TABLE
    experiment = new_experiment(table, options)
    page = options.out / f"table{number}-{options.scale}-{label(experiment.games)}.md"
    asked = {"scale": options.scale, "sizes": experiment.sizes, "games": experiment.games, "many": experiment.many}
    asked["perceptual"] = options.perceptual
    earlier = read(page.with_suffix(".json"), asked)
    results, seeds = earlier.get("results", {}), earlier.get("seeds", [])
    for seed in range(options.seeds or experiment.scale.seeds):
        if seed not in seeds:
            add_seed(results, table.measure(experiment, seed), len(seeds))
            seeds.append(seed)
            facts = facts_of(table, experiment, asked | {"seeds": seeds}, earlier)
            write(table, results, facts, page.parent, page.stem)
    print(page.read_text(encoding="utf-8"))
    print(f"results in {page.parent}")


def new_experiment(table: Table, options: argparse.Namespace) -> PaperExperiment:
    """Return the experiment in which a table is made."""
    scale = SCALES[options.scale]
    names = options.games or (["Toy"] if scale.toy else table.games)
    chosen, many = ([games.find(name).name for name in group] for group in (names, options.many or []))
    work = options.work or paths.home() / "runs" / f"paper-{options.scale}"
    return PaperExperiment(work, scale, chosen, many, options.perceptual)


def facts_of(table: Table, experiment: PaperExperiment, asked: Figures, earlier: Figures) -> Figures:
    """Return how a table was made; some of its seeds may come from an earlier page."""
    options = {"scale": asked["scale"], "game": asked["games"]} | ({"many": asked["many"]} if asked["many"] else {})
    options |= {"seeds": max(asked["seeds"]) + 1} | ({"perceptual": []} if asked["perceptual"] else {})
    seconds = earlier.get("seconds", {}) | experiment.seconds
    return asked | {
        "hours": round(sum(seconds.values()) / 3600, 2),
        "seconds": seconds,
        "command": command_line("paper", [str(table.number)], options),
        "machine": join_machines([experiment.machine()] + ([earlier["machine"]] if earlier else [])),
    }


def main(options: argparse.Namespace) -> None:
    check(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    for number in TABLES if options.table == "all" else [options.table]:
        make(number, options)


if __name__ == "__main__":
    given = read_options()
    sys.exit(run_script(lambda: main(given)))
