"""What rounds of AutoExplore bring: `python -m benchmarks.exploration.refit_rounds GAME --work FOLDER`.

A world model of random episodes is refitted in rounds (`genie-gym refit`), each on the episodes of an explorer that was
pretrained in the imagination of the last round's model and then sent into the real game; and as often on as many random
frames. After every round the model is scored on episodes of an agent that PPO trained on the game's own reward, and the
share of their frames is counted whose cells the explorers, or the random episodes, have visited so far. Resumable:
rerun the same command. Model and agent are those of exploration.py with the same --work and sizes. Writes
refit-rounds-<game>.json, .md and .png to --out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import made_with
from benchmarks.common.results import Figures, markdown_table, mean_and_deviation, write_page
from benchmarks.exploration.coverage import VISITS, covered_share, quality_by_visit
from benchmarks.exploration.experiment import ExplorationExperiment, add_refit_options, common_options, main_scores
from benchmarks.exploration.exploration import REFITS, about_evaluation_agent
from genie_gym.refitting.results import ModelScore

SOURCES = ("random", "autoexplore")
PSNR, COVERAGE = "PSNR t = 4, autoregressive", "coverage of the test frames"  # of REFITS; the former in dB
FIXED = ("base_frames", "train_steps", "steps", "frames", "clips", "envs")  # the same in all calls with the same --work
WHEN = ("before", "after")  # a refit


def read_options() -> argparse.Namespace:
    parser = common_options(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    parser.add_argument("--agent-steps", type=int, default=143_000, help="steps that the evaluation agent learns from")
    parser.add_argument(
        "--imagined-steps", type=int, default=20_000, help="imagined steps of an explorer in each round"
    )
    parser.add_argument("--steps", type=int, default=30_000, help="real steps that it learns from after them")
    add_refit_options(parser)
    return parser.parse_args()


def refit_options(source: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a refit; both sources cost as many real frames."""
    random = source == "random"
    return {
        "policy_source": source,
        "explore_steps": options.steps,
        "imagined_steps": 0 if random else options.imagined_steps,
        "frames": options.frames + (options.steps if random else 0),
        "num_envs": options.envs,
        "seed": seed,
        **{name: getattr(options, name) for name in ("clips", "threads", "decoder_steps", "dynamics_steps")},
    }


def score_round(experiment: ExplorationExperiment, source: str, seed: int, number: int) -> Figures:
    """Refit the model for so many rounds.

    Returns:
        Scores on the test set "before" and "after" the last round, its "coverage" by then, and the "uncertainty" of
        both models about the round's own episodes.
    """
    model, data, (test, _) = experiment.base_model(), experiment.base_dataset(), experiment.test_dataset()
    name = refit_name(experiment, source, seed)
    options, run = refit_options(source, seed, experiment.options), experiment.work / name
    options |= {"rounds": number, "checkpoint": str(model), "data": data, "test": test}

    def execute(folder: Path) -> Figures:
        last = experiment.refit(experiment.game, run, **options)[-1].scores
        before, after = (scores_of(score) for score in (last["test"].base, last["test"].refitted))
        uncertainty = {"before": last["new"].base.uncertainty, "after": last["new"].refitted.uncertainty}
        coverage = covered_share(visited_datasets(run, source, number), test)
        return {"coverage": coverage, "before": before, "after": after, "uncertainty": uncertainty}

    return experiment.run(f"{name}/after-{number}", execute)[1]


def scores_of(score: ModelScore) -> Figures:
    """Return the scores that the page shows."""
    return main_scores(score.evaluation | {"uncertainty": score.uncertainty})


def score_by_visit(experiment: ExplorationExperiment, source: str, seed: int, number: int) -> Figures:
    """Return how well the tokenizer reconstructs test frames before the first round and after the last one."""
    data, (test, _) = experiment.base_dataset(), experiment.test_dataset()
    name = refit_name(experiment, source, seed)
    run = experiment.work / name
    models = {"before": experiment.base_model(), "after": run / f"round-{number}" / "checkpoint"}
    during = visited_datasets(run, source, number)
    return experiment.run(
        f"{name}/by-visit-{number}", lambda folder: quality_by_visit(test, data, during, models, seed)
    )[1]


def visited_datasets(run: Path, source: str, number: int) -> list[Path]:
    """Return the datasets of so many rounds: what explorers learned from, and what was collected."""
    datasets = ("data",) if source == "random" else ("explorer_data", "data")
    return [run / f"round-{n}" / name for n in range(1, number + 1) for name in datasets]


def refit_name(experiment: ExplorationExperiment, source: str, seed: int) -> str:
    """Return the name of a refit with its steps: the same work folder may hold longer ones."""
    o = experiment.options
    imagined = [] if source == "random" else [o.imagined_steps]
    words = map(str, [source, seed, *imagined, o.decoder_steps, o.dynamics_steps])
    return f"{experiment.game}/rounds/" + "-".join(words)


def over_rounds(rounds: list[Figures]) -> list[Figures]:
    """Return the scores of one seed before the first round and after each."""
    return [rounds[0]["before"], *(one["after"] | {"coverage": one["coverage"]} for one in rounds)]


def gains(rounds: Figures) -> list[float]:
    """Return by how many dB each seed's last model is above the one refitted on random episodes."""
    last = [[REFITS[PSNR](seed[-1]["after"]) for seed in rounds[source]] for source in SOURCES]
    return [explored - random for random, explored in zip(*last, strict=True)]


def table(rounds: Figures) -> str:
    """Return a Markdown table of each score over the rounds."""
    count = len(rounds[SOURCES[0]][0])
    heads = ["", "rounds on", "before", *(f"after {number}" for number in range(1, count + 1))]
    rows = [
        [
            title,
            source,
            *(mean_and_deviation([read(row) for row in rows]) for rows in zip(*map(over_rounds, seeds), strict=True)),
        ]
        for title, read in REFITS.items()
        for source, seeds in rounds.items()
    ]
    return markdown_table(heads, rows, left=2)


def visits_table(by_visit: Figures) -> str:
    """Return a Markdown table of how well test frames are reconstructed, by when they were first visited."""
    rows = [
        [visit, source, *(mean_and_deviation([seed[visit][name] for seed in seeds]) for name in ("share", *WHEN))]
        for visit in VISITS
        for source, seeds in by_visit.items()
    ]
    return markdown_table(["test frames", "rounds on", "share", "before, dB", "after, dB"], rows, left=2)


def uncertainty_lost(seeds: list[list[Figures]]) -> str:
    """Return a sentence on the uncertainty about the first round's episodes, before and after the refit on them."""
    before, after = (mean_and_deviation([rounds[0]["uncertainty"][when] for rounds in seeds]) for when in WHEN)
    return (
        f"The uncertainty about the first explorers' episodes is {before} before the refit on them and {after} after."
    )


def write(game: str, rounds: Figures, by_visit: Figures, test: Figures, facts: Figures, out: Path) -> None:
    """Write refit-rounds-<game>.json, .md and .png."""
    path = out / f"refit-rounds-{game}"
    figures = {"rounds": rounds, "gains": gains(rounds), "test_frames": by_visit, "test": test}
    write_page(path, {"game": game, **facts, **figures}, page(game, figures, facts, path.name))
    plot(rounds, path.with_suffix(".png"))


def page(game: str, figures: Figures, facts: Figures, name: str) -> list[str]:
    """Return the paragraphs of the page."""
    settings = facts["settings"]
    return [
        f"# What rounds of AutoExplore bring in {game}",
        "A world model of random episodes is refitted in rounds. In each round an explorer on AutoExplore's reward "
        f"learns from {settings['imagined_steps']:,} steps in imagination and {settings['steps']:,} real ones, then "
        f"{settings['frames']:,} more frames of it are recorded; or as many random frames are. The model is scored on "
        "episodes of an agent trained on the game's own reward; the coverage is the share of their frames whose cells "
        "have been visited by then. Mean and standard deviation over seeds.",
        table(figures["rounds"]),
        "In the end the models refitted on explorers' episodes are above those refitted on random ones by "
        f"{', '.join(f'{gain:.1f}' for gain in figures['gains'])} dB ({PSNR}, seed by seed).",
        "How well the tokenizer reconstructs test frames, by when their cells were first visited:",
        visits_table(figures["test_frames"]),
        uncertainty_lost(figures["rounds"]["autoexplore"]),
        about_evaluation_agent(figures["test"]),
        f"![PSNR and coverage over the rounds]({name}.png)",
        f"Made with {made_with(facts)}.",
    ]


def plot(rounds: Figures, path: Path) -> None:
    """Plot PSNR and coverage over the rounds, a line for each seed."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), (PSNR, COVERAGE), strict=True):
        for index, (source, seeds) in enumerate(rounds.items()):
            for seed, rows in enumerate(map(over_rounds, seeds)):
                values = [REFITS[name](row) for row in rows]  # no coverage before the first round
                label = source if seed == 0 else None
                axes.plot(range(len(rows)), values, "o-", color=f"C{index}", alpha=0.6, label=label)
        axes.set(xlabel="rounds", ylabel=name, xticks=range(len(rows)))
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    experiment = ExplorationExperiment(options, FIXED)
    numbers, seeds = range(1, options.rounds + 1), range(options.seeds)
    rounds = {s: [[score_round(experiment, s, seed, n) for n in numbers] for seed in seeds] for s in SOURCES}
    by_visit = {s: [score_by_visit(experiment, s, seed, options.rounds) for seed in seeds] for s in SOURCES}
    test = experiment.test_dataset()[1]
    write(experiment.game, rounds, by_visit, test, experiment.facts("refit_rounds"), options.out)


if __name__ == "__main__":
    sys.exit(run_script(main))
