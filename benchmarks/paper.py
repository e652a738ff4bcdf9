"""The paper's tables 2 to 6 at a size of your choice: `python benchmarks/paper.py 2 --scale cpu`.

Every part (a recording, an agent, a fit, an evaluation) is kept in --work as soon as it is done, tables share what they
have in common, and the same command goes on where it stopped. Writes JSON, Markdown and a plot with the paper's figures
beside ours to --out, below benchmarks/results/paper by default. Seeds that are there already, of the same sizes and
games, stay as they are and others are added, whichever machine they were measured on; delete a table's JSON to measure
it anew.

Tables 2 and 3 are made of CoinRun, which needs Procgen (see README.md; add the extra sb3), 4 to 6 of two Atari
platformers (`genie-gym roms import --ale`), and all of the toy game at the scale `smoke`; --game takes any other. One
model can learn several games where their actions are the same, as they are on one console.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import RESULTS
from paper_tables.scales import SCALES

from genie_gym import paths
from genie_gym.errors import ConfigError

if TYPE_CHECKING:  # worker processes import this file, and need neither torch nor Stable-Baselines3 to play at random
    from paper_tables.lab import Lab
    from paper_tables.table import Found, Table

TABLES = ("2", "3", "4", "5", "6")


def read_options() -> argparse.Namespace:
    scales = "\n".join(f"  {name}: {scale.about}" for name, scale in SCALES.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nScales:\n{scales}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=(*TABLES, "all"))
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--game", nargs="+", dest="games", help="what the table is made of")
    parser.add_argument("--many", nargs="+", help="tables 4 to 6: games to learn before those (the paper's 200)")
    parser.add_argument("--perceptual", action="store_true", help="FID too; says which weights it needs")
    parser.add_argument("--seeds", type=int, help="how many; the scale's own by default")
    parser.add_argument("--work", type=Path, help="folder of all parts; below the data folder by default")
    parser.add_argument("--threads", type=int, help="CPU threads; torch's choice by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "paper")
    return parser.parse_args()


def main() -> int:
    options = read_options()
    from arms import ended

    def work() -> None:
        _check(options)
        for number in TABLES if options.table == "all" else [options.table]:
            make(number, options)

    return ended(work)


def _check(options: argparse.Namespace) -> None:
    for name in ("seeds", "threads"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ConfigError(f"{name} must be 1 or more, got {getattr(options, name)}")
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)


def make(number: str, options: argparse.Namespace) -> None:
    """One table, written anew after each seed; seeds that it has already are not measured again."""
    from importlib import import_module

    from paper_tables.lab import Lab, label
    from paper_tables.page import collect_seed, read

    from genie_gym import games

    table: Table = import_module(f"paper_tables.table{number}").TABLE
    scale = SCALES[options.scale]
    chosen, many = (
        [games.find(name).name for name in names]
        for names in (options.games or (["Toy"] if scale.toy else table.games), options.many or [])
    )
    work = options.work or paths.home() / "runs" / f"paper-{options.scale}"
    lab = Lab(work, scale, chosen, many, options.perceptual)
    page = options.out / f"table{number}-{options.scale}-{label(chosen)}.md"
    alike = {
        "scale": options.scale,
        "sizes": lab.sizes,
        "games": chosen,
        "many": many,
        "perceptual": options.perceptual,
    }
    earlier = read(page.with_suffix(".json"), alike)
    found, seeds = earlier.get("found", {}), earlier.get("seeds", [])
    for seed in range(options.seeds or scale.seeds):
        if seed not in seeds:
            collect_seed(found, table.measure(lab, seed), len(seeds))
            seeds.append(seed)
            _write(table, lab, found, alike | {"seeds": seeds}, earlier, page)
    print(page.read_text(encoding="utf-8"))
    print(f"kept in {page.parent}")


def _write(
    table: "Table", lab: "Lab", found: "Found", asked: dict[str, Any], earlier: dict[str, Any], page: Path
) -> None:
    """The page of what was found and asked for; some of the seeds may come from an earlier page."""
    from arms import join_made
    from paper_tables.page import write

    words = ["python", "benchmarks/paper.py", str(table.number), "--scale", asked["scale"], "--game", *asked["games"]]
    words += ["--many", *asked["many"]] if asked["many"] else []
    words += ["--seeds", str(max(asked["seeds"]) + 1), *(["--perceptual"] if asked["perceptual"] else [])]
    seconds = earlier.get("seconds", {}) | lab.used
    facts = asked | {
        "hours": round(sum(seconds.values()) / 3600, 2),
        "seconds": seconds,
        "command": shlex.join(words),
        "made": join_made([lab.made()] + ([earlier["made"]] if earlier else [])),
    }
    write(table, found, facts, page.parent, page.stem)


if __name__ == "__main__":
    sys.exit(main())
