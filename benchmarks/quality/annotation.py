"""Whether the probe of `genie-gym annotate` says of games what people say: `python -m benchmarks.quality.annotation`.

Each game of RetroAct's table that can be started here is recorded and probed, and the labels that the probe proposes
are compared with the table's. Resumable: what was probed is kept in the folder `work`, by game.

Of each label are given: the share of games in which both say the same word, the share that the most common word alone
would have, and Cohen's kappa, which is 0 for agreement by chance. Of a button besides the share of games in which both
say that it does something, or both that it does nothing. A game whose every button does nothing by the table is one in
which its annotators saw no play yet; figures without these are given too.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_result
from genie_gym import games
from genie_gym.annotation.look import look_at
from genie_gym.annotation.probe import NONE
from genie_gym.annotation.sheet import row_of
from genie_gym.errors import GameError
from genie_gym.games.retroact import Annotation, find_file, load, load_own
from genie_gym.games.retroact.table import BUTTONS
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import to_jsonable

OTHERS = ("motion", "camera", "blinking", "delayed")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="table of labels; the published one by default, if it was fetched")
    parser.add_argument("--games", nargs="+", help="names of games of the table; all that can be started by default")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the random play before some states")
    parser.add_argument("--work", type=Path, default=Path("annotation-work"), help="folder of what was probed")
    parser.add_argument("--out", type=Path, default=RESULTS / "annotation.json", help="file of the figures")
    return parser.parse_args()


def labels_of(row: Annotation) -> dict[str, str]:
    """The labels that are compared, as words."""
    flags = {name: "YES" if getattr(row, name) else "NO" for name in ("blinking", "delayed")}
    return {**row.effects, "motion": row.motion, "camera": row.camera, **flags}


def probed(name: str, options: argparse.Namespace) -> dict[str, str]:
    """What the probe says of a game, from the folder if it was asked before."""
    path = options.work / f"{name}-{options.seed}.json"
    if not path.is_file():
        print(name, flush=True)
        labels = labels_of(row_of(name, look_at(name, options.seed).proposal))
        atomic_write(path, (json.dumps(labels, indent=1) + "\n").encode())
    return json.loads(path.read_text())


def agreement(pairs: list[tuple[str, str]]) -> Figures:
    """Compare words of the probe with those of the table."""
    ours, theirs = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    same = sum(one == other for one, other in pairs) / len(pairs)
    chance = sum(ours[word] * theirs[word] for word in theirs) / len(pairs) ** 2
    return {
        "games": len(pairs),
        "same": same,
        "most_common": max(theirs.values()) / len(pairs),
        "kappa": (same - chance) / (1 - chance) if chance < 1 else None,
    }


def figures_of(rows: list[tuple[dict[str, str], dict[str, str]]]) -> Figures:
    """The agreement of each label; of buttons the words, and whether they do something."""
    found: Figures = {}
    for label in (*BUTTONS, *OTHERS):
        pairs = [(probe[label], table[label]) for probe, table in rows]
        found[label] = agreement(pairs)
        if label in BUTTONS:
            found[label]["does_something"] = agreement([(str(a != NONE), str(b != NONE)) for a, b in pairs])
    together = [(probe[label], table[label]) for probe, table in rows for label in BUTTONS]
    found["all_buttons"] = agreement(together)
    found["all_buttons"]["does_something"] = agreement([(str(a != NONE), str(b != NONE)) for a, b in together])
    return found


def main() -> None:
    options, machine = read_options(), machine_facts()
    file = options.file or find_file()
    table, known = (load(file) if file else load_own()), set(games.names())
    rows: dict[str, Figures] = {}
    left_out: dict[str, str] = {}
    for name, row in table.items():
        if name not in known or not games.available(name) or name not in (options.games or table):
            continue
        try:
            rows[name] = {"probe": probed(name, options), "table": labels_of(row)}
        except GameError as error:
            left_out[name] = str(error)
    both = [(row["probe"], row["table"]) for row in rows.values()]
    played = [pair for pair in both if any(pair[1][button] != NONE for button in BUTTONS)]
    result: Figures = {
        "table": file.name if file else "own.csv",
        "seed": options.seed,
        "all_games": figures_of(both),
        "games_with_a_button_that_does_something": figures_of(played),
        "rows": rows,
        "left_out": left_out,
    }
    names = ("games", "same", "most_common", "kappa")
    result = to_jsonable(result)
    cells = [[label, *(one[name] for name in names)] for label, one in result["all_games"].items()]
    print(markdown_table(("label", "games", "same word", "most common word", "kappa"), cells))
    print(f"results in {write_result(options.out, result, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
