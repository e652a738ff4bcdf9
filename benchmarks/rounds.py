"""What rounds of AutoExplore bring: `python benchmarks/rounds.py Hero-Atari2600 --work FOLDER`.

A world model of random play is refitted in rounds (`genie-gym refit`), each on what the last round's model sent an
explorer to, which learned in its dreams before; and as often on as much random play. After every round it is scored on
the play of an agent that PPO trained on the game's own reward, and the frames of that play are counted that look like
one which the explorers, or random play, had come upon by then. Every part is kept in --work, and the same command goes
on where it stopped; model and agent are those of exploration.py, given the same --work and sizes. Writes
rounds-<game>.json, .md and .png to --out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from arms import Arms, Figures, Stopped, command_line, ended, made_with
from coverage import KINDS, by_kind, covered
from exploration import REFITS, spread, tester
from machine import write_result
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close
from study import Study, add_refit_options, scores, study_options

from genie_gym import games
from genie_gym.pipeline.refit import refit
from genie_gym.pipeline.refit_config import RefitConfig
from genie_gym.pipeline.tune import TuneConfig

SOURCES = ("random", "autoexplore")
PSNR = "PSNR t = 4, autoregressive"  # of exploration.REFITS, in dB
UNSAID = ("work", "out", "game", "threads")  # in the settings of a page, which say what its figures depend on
SIZES = ("base", "fit_steps", "steps", "frames", "clips", "envs")  # the same from call to call


def read_options() -> argparse.Namespace:
    parser = study_options(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agent-steps", type=int, default=143_000, help="that the agent of the test learns from")
    parser.add_argument("--dream-steps", type=int, default=20_000, help="that an explorer dreams of in each round")
    parser.add_argument("--steps", type=int, default=30_000, help="real steps it learns from after them")
    add_refit_options(parser)
    return parser.parse_args()


def play_round(study: Study, source: str, seed: int, number: int) -> Figures:
    """What the model is like on the test after so many rounds, and before the first; "covered" of the test by then; how
    "unsure" both models are of the round's own play."""
    o, model, (test, _) = study.options, study.model(), study.test()
    random, name = source == "random", _name(study, source, seed)
    run = study.arms.work / name
    config = RefitConfig(
        source,
        explore_steps=o.steps,
        dream_steps=0 if random else o.dream_steps,
        frames=o.frames + (o.steps if random else 0),  # as many real frames
        envs=o.envs,
        clips=o.clips,
        seed=seed,
        tune=TuneConfig(o.decoder_steps, o.dynamics_steps),
    )

    def make(folder: Path) -> Figures:
        what: dict[str, Any] = {"checkpoint": model / "checkpoint", "data": model / "data", "test": test, "run": run}
        how: dict[str, Any] = {"workers": 1, "threads": o.threads, "progress": study.arms.shown}
        report = refit(study.game, rounds=number, config=config, **what, **how)
        if not report.finished:
            raise Stopped(report.stopped)
        on_test, on_own = (report.rounds[-1][f"score on {play}"] for play in ("test play", "new play"))
        return {
            "covered": covered(_shown(run, source, number), test),
            **{when: scores(on_test[when]) for when in ("without", "with")},
            "unsure": {when: on_own[when]["uncertainty"] for when in ("without", "with")},
        }

    return study.arms.arm(f"{name}/after-{number}", make)[1]


def by_coverage(study: Study, source: str, seed: int, number: int) -> Figures:
    """How well the model draws frames of the test before the first round and after the last, see `by_kind`."""
    model, (test, _), name = study.model(), study.test(), _name(study, source, seed)
    run = study.arms.work / name
    models = {"before": model / "checkpoint", "after": run / f"round-{number}" / "checkpoint"}

    def make(folder: Path) -> Figures:
        return by_kind(test, model / "data", _shown(run, source, number), models, seed)

    return study.arms.arm(f"{name}/by-coverage-{number}", make)[1]


def _shown(run: Path, source: str, number: int) -> list[Path]:
    """What was played in so many rounds: what explorers learned from, and what was collected."""
    plays = ("data",) if source == "random" else ("learning", "data")
    return [run / f"round-{n}" / play for n in range(1, number + 1) for play in plays]


def _name(study: Study, source: str, seed: int) -> str:
    """A refit's: there may be longer ones in the same folder."""
    o = study.options
    dreamed = [] if source == "random" else [o.dream_steps]
    return f"{study.game}/rounds/" + "-".join(map(str, [source, seed, *dreamed, o.decoder_steps, o.dynamics_steps]))


def course(rounds: list[Figures]) -> list[Figures]:
    """Of one seed's rounds the figures before the first and after each."""
    return [rounds[0]["without"], *(one["with"] | {"covered": one["covered"]} for one in rounds)]


def gains(found: Figures) -> list[float]:
    """By how much each seed's model is above that of random play in the end, in dB."""
    ends = [[REFITS[PSNR](seed[-1]["with"]) for seed in found[source]] for source in SOURCES]
    return [mine - other for other, mine in zip(*ends, strict=True)]


def worn_off(seeds: list[list[Figures]]) -> str:
    """What the play of the first round paid the explorers, and what it would pay them after the refit on it."""
    before, after = (spread([rounds[0]["unsure"][when] for rounds in seeds]) for when in ("without", "with"))
    return f"Of the first explorers' play the model is unsure by {before} before it is refitted on it, {after} after."


def table(found: Figures) -> str:
    """Markdown: each figure before the first round and after each, mean and deviation of a source's seeds."""
    count = len(found[SOURCES[0]][0])
    lines = ["| | rounds on | before | " + " | ".join(f"after {n}" for n in range(1, count + 1)) + " |"]
    lines.append("|---|---|" + "---:|" * (count + 1))
    for name, read in REFITS.items():
        for source, seeds in found.items():
            cells = [spread([read(row) for row in rows]) for rows in zip(*map(course, seeds), strict=True)]
            lines.append(f"| {name} | {source} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def kinds_table(kinds: Figures) -> str:
    """Markdown: a row for each kind of frames, before and after the rounds, mean and deviation of a source's seeds."""
    lines = ["| frames of the test | rounds on | share | before, dB | after, dB |", "|---|---|---:|---:|---:|"]
    for kind in KINDS:
        for source, seeds in kinds.items():
            cells = [spread([seed[kind][name] for seed in seeds]) for name in ("share", "before", "after")]
            lines.append(f"| {kind} | {source} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(game: str, found: Figures, kinds: Figures, test: Figures, facts: Figures, out: Path) -> None:
    """rounds-<game>.json, .md and .png."""
    out.mkdir(parents=True, exist_ok=True)
    kept, settings = out / f"rounds-{game}", facts["settings"]
    about = {name: value for name, value in facts.items() if name != "made"}
    figures = {"rounds": found, "gains": gains(found), "frames of the test": kinds, "test": test}
    write_result(kept.with_suffix(".json"), {"game": game, **about, **figures}, facts["made"])
    text = [
        f"# What rounds of AutoExplore bring in {game}",
        "A world model of random play is refitted again and again. In each round an explorer on AutoExplore's reward "
        f"learns from {settings['dream_steps']:,} steps in dreams of the model as it is, then from "
        f"{settings['steps']:,} real ones, and {settings['frames']:,} more are recorded of it; or as much random play "
        "is. The model is scored on play of an agent that was trained on the game's own reward; of the frames of that "
        "play, the share covered looks like one that was come upon by then. Mean and standard deviation over seeds.",
        table(found),
        f"In the end the models of the explorers' play are above those of random play by "
        f"{', '.join(f'{gain:.1f}' for gain in gains(found))} dB ({PSNR}, seed by seed).",
        "How well the tokenizer draws frames of the test again, by whether the model had come upon the like:",
        kinds_table(kinds),
        worn_off(found["autoexplore"]),
        tester(test),
        f"![PSNR and what is covered, over the rounds]({kept.name}.png)",
        f"Made with {made_with(facts)}.",
    ]
    kept.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    plot(found, kept.with_suffix(".png"))


def plot(found: Figures, path: Path) -> None:
    """PSNR and the share covered over the rounds, a line for each seed."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), (PSNR, "test's frames covered"), strict=True):
        for place, (source, seeds) in enumerate(found.items()):
            for number, rounds in enumerate(seeds):
                known = {n: REFITS[name](row) for n, row in enumerate(course(rounds)) if REFITS[name](row) is not None}
                label = source if number == 0 else None
                axes.plot(known.keys(), known.values(), "o-", color=f"C{place}", alpha=0.6, label=label)
        axes.set(xlabel="rounds", ylabel=name, xticks=range(len(course(rounds))))
    axes.legend()
    figure.savefig(path, dpi=110)


def measure(options: argparse.Namespace) -> None:
    """Makes or takes every part, and writes what they found."""
    torch.set_num_threads(options.threads)
    arms = Arms(options.work, {name: getattr(options, name) for name in SIZES})
    game = games.find(options.game).name
    study, numbers = Study(game, arms, options), range(1, options.rounds + 1)
    seeds = range(options.seeds)
    found = {source: [[play_round(study, source, seed, n) for n in numbers] for seed in seeds] for source in SOURCES}
    kinds = {source: [by_coverage(study, source, seed, options.rounds) for seed in seeds] for source in SOURCES}
    test = study.test()[1]
    how = {name: value for name, value in vars(options).items() if name not in UNSAID}
    facts = {
        "command": command_line("rounds.py", game, how),
        "settings": how,
        "hours": round(sum(arms.used.values()) / 3600, 2),
        "made": arms.made(),
    }
    write(game, found, kinds, test, facts, options.out)
    print(f"kept in {options.out / f'rounds-{game}.json'}")


if __name__ == "__main__":
    sys.exit(ended(lambda: measure(read_options())))
