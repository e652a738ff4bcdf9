"""One model of many games beside models of single games: `python -m benchmarks.quality.many_games`.

Records sticky play of each game, trains one model of all, and of some games one each, of the same sizes and for an
equal share of the minutes; then predicts the same held-out clips of each game with both. Resumable: run it again, on a
machine that does nothing else, as training goes by the clock. Errors are means over clips with the standard error over
clips. Writes many-games-NAME.json, a table, and a strip of each game: the real frames, below them those that the model
of all games dreamed.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.experiment import Stopped, run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.options import add_game_options
from benchmarks.common.results import Figures, markdown_table, write_result
from benchmarks.quality.scoring import ERRORS, predict_held_out, score, strip
from genie_gym import games
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.config import COMPARED_STEP
from genie_gym.evaluation.report import write_grid
from genie_gym.training.world_model import train
from genie_gym.utils import paths
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint

ATARI_100K = Path(__file__).with_name("atari_100k.txt")
HEADS = (
    "game",
    "model",
    "recon., dB",
    "MSE",
    "repeating",
    "less by",
    "moving pixels, dB",
    "repeating, dB",
    "delta-PSNR",
)
ALL, ALONE = "of all", "of it alone"


@dataclass(frozen=True)
class Models:
    """Where the trained models lie.

    Attributes:
        of_all: Folder of the model of all games.
        alone: Folders of the models of single games, by game.
    """

    of_all: Path
    alone: dict[str, Path]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="+", default=ATARI_100K.read_text().split(), help="the games of the one model")
    parser.add_argument("--alone", nargs="*", default=[], help="those of which single models are trained too")
    parser.add_argument("--minutes", type=float, default=90.0, help="training time of the one model")
    parser.add_argument("--shown", type=int, default=1, help="clips in a strip, the first that were drawn")
    add_game_options(parser)
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    names = record(options)
    models = train_models(names, options)
    found = {name: score_game(name, models, options) for name in names}
    figures = {"settings": to_jsonable(vars(options) | {"out": None}), "games": found}
    path = options.out / f"many-games-{options.name}.json"
    write_result(path, figures, machine)
    rows = [row for name, one in found.items() for row in table_rows(name, one)]
    page = markdown_table(HEADS, [*rows, *mean_rows(found)], left=2)
    path.with_suffix(".md").write_text(page + "\n", encoding="utf-8")
    print(page)


def record(options: argparse.Namespace) -> list[str]:
    """Record sticky play of each game, as far as that is not done; return the games' names."""
    names = [games.find(name).name for name in options.games]
    for name in names:
        collect(name, policy="sticky", steps=options.steps, max_steps=options.max_steps, seed=options.seed, workers=1)
    return names


def train_models(names: list[str], options: argparse.Namespace) -> Models:
    """Train the model of all games, and those of single ones, each for its share of the minutes."""
    chosen = {"preset": options.preset, "seed": options.seed, "threads": options.threads}
    runs = paths.home() / "runs" / f"many-games-{options.name}"
    of_all = finished(options.name, runs / "all", games=tuple(names), minutes=options.minutes, **chosen)
    share = options.minutes / len(names)
    alone = [games.find(name).name for name in options.alone]
    return Models(of_all, {name: finished(name, runs / name, minutes=share, **chosen) for name in alone})


def finished(name: str, run: Path, **options: Any) -> Path:
    """Train a model, or go on with it; return the folder of its checkpoint."""
    report = train(name, run=run, out=run / "checkpoint", **options)
    if report.checkpoint is None:
        raise Stopped(f"training of {name}")
    return report.checkpoint


def score_game(name: str, models: Models, options: argparse.Namespace) -> dict[str, Figures]:
    """Return the figures of one game by model, and leave a strip of it."""
    checkpoints = {ALL: load_checkpoint(models.of_all, "cpu", "auto", game=name)}
    if name in models.alone:
        checkpoints[ALONE] = load_checkpoint(models.alone[name], "cpu", "auto")
    return {kind: score_model(kind, checkpoint, options) for kind, checkpoint in checkpoints.items()}


def score_model(kind: str, checkpoint: Checkpoint, options: argparse.Namespace) -> Figures:
    """Return the figures of one model of one game; clips are the same for all models."""
    name = checkpoint.game["name"]
    chosen = {key: getattr(options, key) for key in ("clips", "context", "horizon", "seed")}
    clips = predict_held_out(checkpoint, EpisodeDataset(paths.data_dir(name)), **chosen)
    if kind == ALL:
        place = options.out / f"many-games-{options.name}" / f"{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_grid(place, strip(clips.real, clips.predicted, options.shown))
    figures = score(clips, checkpoint, options.seed)
    print(name, kind, json.dumps(to_jsonable(figures["steps"][str(COMPARED_STEP)])), figures["delta_psnr"], flush=True)
    return figures


def table_rows(name: str, found: dict[str, Figures]) -> list[list[str]]:
    """Return a row for each model of one game, four steps ahead: means over clips with their standard errors."""
    rows: list[list[str]] = []
    for kind, one in found.items():
        cells = [f"{mean:{how}} ± {error:{how}}" if error else f"{mean:{how}}" for mean, error, how in numbers(one)]
        rows.append(["" if rows else name, kind, *cells])
    return rows


def mean_rows(found: dict[str, dict[str, Figures]]) -> list[list[str]]:
    """Return rows of means over games: of all games, and of both models over those that have two."""
    both = [one for one in found.values() if ALONE in one]
    rows = [("mean of all games", ALL, list(found.values())), ("mean of those with two", ALL, both), ("", ALONE, both)]
    return [[title, kind, *means([one[kind] for one in ones])] for title, kind, ones in rows if ones]


def means(ones: list[Figures]) -> list[str]:
    """Return means over games of the figures of one model."""
    columns = zip(*(numbers(one) for one in ones), strict=True)
    return [f"{np.mean([mean for mean, _, _ in column]):{column[0][2]}}" for column in columns]


def numbers(one: Figures) -> list[tuple[float, float | None, str]]:
    """Return the figures of one model of one game: mean, its standard error if known, and how they are written."""
    step = one["steps"][str(COMPARED_STEP)]
    errors = [(*step[key], ".0f") for key in ERRORS]
    moving = [(step[key], None, ".1f") for key in ("moving_psnr", "moving_psnr_repeating")]
    return [(one["reconstruction"]["psnr"][0], None, ".1f"), *errors, *moving, (*one["delta_psnr"], ".1f")]


if __name__ == "__main__":
    sys.exit(run_script(main))
