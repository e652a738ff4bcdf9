"""What explorers find and what it teaches: `python benchmarks/exploration.py Kangaroo-Atari2600 --work FOLDER`.

Random play trains a world model. Explorers on AutoExplore's reward and on the baselines', and a random agent, are then
recorded on equally many real frames: how many places they reach, and how well that model predicts their play (harder
data teach it more: the paper's table 6). What an explorer saw on the real frames it learned from is counted too, beside
as much random play, and its reward over them drawn. The model is then refitted on all that each agent ever
played, half of the clips from what it learned from, half from the recording of the trained agent, with equally many
steps, and scored on an agent's that PPO trained on the game's own reward (table 5): no agent costs more real frames
than another. Every part is kept in --work, and the same command goes on where it stopped; several games can have the
same --work, each in a process of its own, and so can refits of other lengths. Writes exploration-<game>.json, .md and
.png to --out.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import Arms, Figures, command_line, ended, made_with
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close
from study import Study, add_refit_options, study_options

from genie_gym import games

UNSAID = ("work", "out", "game", "threads")  # in the settings of a page, which say what its figures depend on
FREE = (*UNSAID, "seeds", "rewards", "refits", "agent_steps", "decoder_steps", "dynamics_steps")  # from call to call


def read_options() -> argparse.Namespace:
    parser = study_options(__doc__)
    kinds = ["autoexplore", "vae_features", "random_features"]
    parser.add_argument(
        "--rewards",
        nargs="+",
        default=kinds,
        choices=[*kinds, "rnd", "begun"],
        help="that explorers learn on; begun: on AutoExplore's, after as many steps in dreams alone",
    )
    parser.add_argument(
        "--refits",
        nargs="*",
        default=["random", "autoexplore"],
        help="plays to refit the model on; tester: other play of the very agent that tests it, the most that could be",
    )
    parser.add_argument("--steps", type=int, default=120_000, help="real steps that an explorer learns from")
    parser.add_argument(
        "--agent-steps",
        type=int,
        default=200_000,
        help="that the agent on the game's reward learns from; a game where it needs more can be begun with more",
    )
    add_refit_options(parser)
    return parser.parse_args()


PLAYS = {
    "pictures while learning": lambda row: row["seen"],
    "reward at first": lambda row: _tenth(row["curve"], 0),
    "reward at last": lambda row: _tenth(row["curve"], 9),
    "pictures": lambda row: row["pictures"],
    "positions": lambda row: row["positions"],
    "PSNR t = 4, dB": lambda row: row["autoregressive"]["psnr"],
    "moving pixels, dB": lambda row: row["autoregressive"]["moving_psnr"],
    "reconstruction, dB": lambda row: row["reconstruction"],
    "uncertainty": lambda row: row["uncertainty"],
}
REFITS: dict[str, Any] = {
    f"{name} t = 4, {'single pass' if way == 'single_pass' else way}": lambda row, way=way, key=key: row[way][key]
    for way in ("single_pass", "autoregressive")
    for name, key in (("PSNR", "psnr"), ("SSIM", "ssim"), ("delta-PSNR", "delta_psnr"))
}
REFITS["test's frames covered"] = lambda row: row.get("covered")  # of the model without a refit there is none


def write(game: str, found: Figures, facts: Figures, out: Path) -> None:
    """exploration-<game>.json, .md and .png."""
    out.mkdir(parents=True, exist_ok=True)
    kept = out / f"exploration-{game}"
    kept.with_suffix(".json").write_text(json.dumps({**facts, "game": game, **found}, indent=1) + "\n")
    text = [
        f"# What explorers find in {game}, and what it teaches",
        "Different pictures on the real frames that each explorer learned from, and in as much random play. Then play "
        "of each agent on equally many real frames, and how well a world model of random play predicts it: the lower, "
        "the more it could learn from it. Mean and standard deviation over seeds.",
        table(found["plays"], PLAYS, "play"),
        "The model refitted on all that each agent played, half of the clips from the frames it learned from and half "
        "from its play afterwards, scored on play of an agent that was trained on the game's own reward. Of the frames "
        "of that test, the share covered looks like one that the agent of the refit learned from.",
        table(found["refits"], REFITS, "refitted on"),
        tester(found["test"]),
        f"![places reached, error of the model, and gain of the refit]({kept.name}.png)",
        f"Made with {made_with(facts)}.",
    ]
    kept.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    plot(found, kept.with_suffix(".png"))


def tester(test: Figures) -> str:
    """How far the agent whose play is the test has come."""
    steps, first, last = test["steps"], test["returns"][0], test["returns"][-1]
    return f"That agent learned for {steps:,} steps; its mean return was {first:.1f} at first and {last:.1f} at last."


def table(kinds: dict[str, list[Figures]], columns: dict[str, Any], kind: str) -> str:
    """Markdown: a row for each kind of play, its seeds' mean and deviation in the cells."""
    lines = [f"| {kind} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, seeds in kinds.items():
        cells = [spread([read(row) for row in seeds]) for read in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float | None]) -> str:
    """Mean and standard deviation of the values that are known."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    digits = 0 if np.mean(known) > 100 else 2 if np.mean(known) > 2 else 3
    return f"{np.mean(known):.{digits}f}" + (f" ± {np.std(known, ddof=1):.{digits}f}" if len(known) > 1 else "")


def _tenth(curve: list[tuple[int, float]], which: int) -> float | None:
    """Mean of the rewards of a tenth of the steps; a short training has none of its first."""
    tenth = curve[-1][0] / 10 if curve else 0
    rewards = [reward for steps, reward in curve if which * tenth < steps <= (which + 1) * tenth]
    return float(np.mean(rewards)) if rewards else None


def plot(found: Figures, path: Path) -> None:
    """Places, PSNR on the plays, PSNR on the test's after the refits, a point for each seed; rewards while learning."""
    shown = (
        ("plays", "different pictures while learning", PLAYS["pictures while learning"]),
        ("plays", "different pictures", PLAYS["pictures"]),
        ("plays", "PSNR t = 4 of the model on the play, dB", PLAYS["PSNR t = 4, dB"]),
        ("refits", "PSNR t = 4 on the test after a refit, dB", REFITS["PSNR t = 4, autoregressive"]),
    )
    figure = Figure(figsize=(21, 2.6), layout="constrained")
    *points, curves = figure.subplots(1, len(shown) + 1)
    for (part, label, read), axes in zip(shown, points, strict=True):
        for place, (kind, seeds) in enumerate(found[part].items()):
            colour = f"C{list(found['plays']).index(kind)}" if kind in found["plays"] else "grey"
            axes.plot([read(row) for row in seeds], [place] * len(seeds), "o", color=colour, alpha=0.5)
            axes.plot(np.mean([read(row) for row in seeds]), place, "k|", markersize=18)
        axes.set_yticks(range(len(found[part])), list(found[part]))
        axes.invert_yaxis()
        axes.set(xlabel=label)
    for place, seeds in enumerate(found["plays"].values()):
        for row in seeds:
            if row["curve"]:
                curves.plot(*zip(*row["curve"], strict=True), color=f"C{place}", alpha=0.5)
    curves.set(xlabel="real steps learned from", ylabel="reward")
    figure.savefig(path, dpi=110)


def measure(options: argparse.Namespace) -> None:
    """Makes or takes every part, and writes what they found."""
    torch.set_num_threads(options.threads)
    settings = {name: value for name, value in vars(options).items() if name not in FREE}
    arms = Arms(options.work, settings)
    game = games.find(options.game).name
    found = Study(game, arms, options).found()
    hours = round(sum(arms.used.values()) / 3600, 2)
    how = {name: value for name, value in vars(options).items() if name not in UNSAID}
    command = command_line("exploration.py", game, how)
    facts = {"command": command, "settings": how, "hours": hours, "made": arms.made()}
    write(game, found, facts, options.out)
    print(f"kept in {options.out / f'exploration-{game}.json'}")


if __name__ == "__main__":
    sys.exit(ended(lambda: measure(read_options())))
