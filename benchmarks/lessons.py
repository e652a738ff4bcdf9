"""What lessons in dreams save: `python benchmarks/lessons.py Hero-Atari2600 --work FOLDER`.

Random play trains a world model. One explorer learns on AutoExplore's reward in the real game from the start, another
in dreams of that model alone, and a third goes on in the real game with what the second learned. Of the first and the
third, the reward and the different pictures seen are set against the real steps they have learned from. Every part is
kept in --work, and the same command goes on where it stopped; it shares model and explorers with exploration.py, given
the same --work and sizes. Writes lessons-<game>.json, .md and .png to --out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import Arms, Figures, command_line, ended, made_with
from exploration import spread
from machine import write_result
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close
from study import Study, scalars, study_options

from genie_gym import games

KINDS = {"autoexplore": "in the game from the start", "begun": "in the game, after dreams"}
AFTER = (0.1, 0.25, 0.5, 1.0)  # shares of the real steps at which the two are compared
Curve = list[list[float]]  # real steps, value


def read_options() -> argparse.Namespace:
    parser = study_options(__doc__)
    parser.add_argument("--steps", type=int, default=30_000, help="real steps of an explorer, and dreamed ones")
    return parser.parse_args()


def curves(study: Study, kind: str, seed: int) -> dict[str, Curve]:
    """The reward of the last real steps, and the pictures seen in all, after each of the explorer's updates."""
    names = {"reward": "explore/reward", "pictures": "explore/places"}
    agent, _ = study.explorer(kind, seed)
    return {what: [list(point) for point in scalars(agent, name)] for what, name in names.items()}


def pictures_after(row: dict[str, Curve], share: float) -> float:
    """Different pictures seen by then."""
    steps, values = np.array(row["pictures"]).T
    return float(np.interp(share * steps[-1], steps, values))


def reward_before(row: dict[str, Curve], share: float) -> float:
    """Mean reward of the tenth of the steps that ends there."""
    steps, values = np.array(row["reward"]).T
    end = share * steps[-1]
    return float(values[(steps > end - 0.1 * steps[-1]) & (steps <= end)].mean())


def steps_to_reach(row: dict[str, Curve], pictures: float) -> float | None:
    """Real steps until so many pictures were seen; None where they never were."""
    steps, values = np.array(row["pictures"]).T
    return float(np.interp(pictures, values, steps)) if values[-1] >= pictures else None


def compare(found: dict[str, list[dict[str, Curve]]]) -> dict[str, Any]:
    """What the table says: figures of each seed, by kind and share of the steps, and the real steps saved."""
    figures: dict[str, Any] = {
        kind: {
            f"{share:.0%}": {
                "reward": [reward_before(row, share) for row in rows],
                "pictures": [pictures_after(row, share) for row in rows],
            }
            for share in AFTER
        }
        for kind, rows in found.items()
    }
    pairs = zip(found["begun"], found["autoexplore"], strict=True)
    saved = [steps_to_reach(pupil, pictures_after(other, 0.5)) for pupil, other in pairs]
    return figures | {"real steps to the pictures of half": saved}


def write(game: str, found: dict[str, list[dict[str, Curve]]], facts: Figures, out: Path) -> None:
    """lessons-<game>.json, .md and .png."""
    kept, figures = out / f"lessons-{game}", compare(found)
    about = {name: value for name, value in facts.items() if name != "made"}
    write_result(kept.with_suffix(".json"), {"game": game, **about, "figures": figures, "curves": found}, facts["made"])
    heads = ["explorer", *(f"{what}, {share:.0%}" for what in ("reward", "pictures") for share in AFTER)]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for kind, name in KINDS.items():
        rows = figures[kind].values()
        cells = [spread(row[what]) for what in ("reward", "pictures") for row in rows]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    reached = figures["real steps to the pictures of half"]
    told = ["never" if steps is None else f"{steps:,.0f}" for steps in reached]
    text = [
        f"# What lessons in dreams save in {game}",
        f"Explorers on AutoExplore's reward, in the real game from the start, or after {facts['settings']['steps']:,} "
        "steps in dreams of the model alone. After a share of the real steps: mean reward of the last tenth of all "
        "steps, and different pictures seen. Mean and standard deviation over seeds.",
        "\n".join(lines),
        "As many pictures as the explorer that began in the game had seen after half of its real steps, the one from "
        f"dreams had seen after {', '.join(told)} real steps (seed by seed).",
        f"![reward and pictures over real steps]({kept.name}.png)",
        f"Made with {made_with(facts)}.",
    ]
    kept.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    plot(found, kept.with_suffix(".png"))


def plot(found: dict[str, list[dict[str, Curve]]], path: Path) -> None:
    """Both curves of every seed."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2), ("reward", "pictures"), strict=True):
        for place, (kind, rows) in enumerate(found.items()):
            for number, row in enumerate(rows):
                label = KINDS[kind] if number == 0 else None
                axes.plot(*zip(*row[what], strict=True), color=f"C{place}", alpha=0.6, label=label)
        axes.set(xlabel="real steps learned from", ylabel=what)
    axes.legend()
    figure.savefig(path, dpi=110)


def measure(options: argparse.Namespace) -> None:
    """Makes or takes every part, and writes what they found."""
    torch.set_num_threads(options.threads)
    sizes = {name: getattr(options, name) for name in ("base", "fit_steps", "steps", "envs")}
    arms = Arms(options.work, sizes)
    game = games.find(options.game).name
    study = Study(game, arms, options)
    found = {kind: [curves(study, kind, seed) for seed in range(options.seeds)] for kind in KINDS}
    how = sizes | {"seeds": options.seeds}
    facts = {
        "command": command_line("lessons.py", game, how),
        "settings": how,
        "hours": round(sum(arms.used.values()) / 3600, 2),
        "made": arms.made(),
    }
    write(game, found, facts, options.out)
    print(f"kept in {options.out / f'lessons-{game}.json'}")


if __name__ == "__main__":
    sys.exit(ended(lambda: measure(read_options())))
