"""How soon a model of many games is one of a game that it never saw: `python -m benchmarks.quality.adaptation MODEL`.

Records sticky play of each game; then finetunes MODEL on it, and trains a model from nothing, for equal minutes, each
length being a run of its own, as learning rates follow the clock. All of them predict the same held-out clips, and so
does MODEL as it is. Resumable: run it again, on a machine that does nothing else, as training goes by the clock. Errors
are means over seeds, with their standard deviation if there are several. Writes adaptation-NAME.json and a table.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from benchmarks.common.experiment import Stopped, run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.options import add_game_options
from benchmarks.common.results import Figures, markdown_table, mean_and_deviation, write_result
from benchmarks.quality.many_games import record
from benchmarks.quality.scoring import predict_held_out, score
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.config import COMPARED_STEP
from genie_gym.training.finetune import finetune
from genie_gym.training.world_model import train
from genie_gym.utils import paths
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint

HEADS = (
    "game",
    "begins with",
    "minutes",
    "recon., dB",
    "MSE",
    "repeating",
    "moving pixels, dB",
    "repeating, dB",
    "delta-PSNR",
)
STARTS = MODEL, NOTHING = "the model", "nothing"


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="the model of many games: a name or a folder")
    parser.add_argument("--games", nargs="+", required=True, help="games that it never saw")
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 3, 5, 10, 30], help="lengths of both trainings")
    parser.add_argument("--from", nargs="+", default=STARTS, choices=STARTS, dest="starts", help="what they begin with")
    parser.add_argument("--lr-scale", type=float, default=0.3, help="of finetuning: share of the preset's rate")
    parser.add_argument("--weights", default="all", help="which weights of the dynamics finetuning changes")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds of the trainings, from --seed on")
    add_game_options(parser)
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    names = record(options)
    rows = [row for name in names for row in score_game(name, options)]
    settings = to_jsonable(vars(options) | {"out": None})
    path = options.out / f"adaptation-{options.name}.json"
    write_result(path, {"settings": settings, "rows": rows}, machine)
    page = markdown_table(HEADS, [cells(row) for row in rows], left=2)
    path.with_suffix(".md").write_text(page + "\n", encoding="utf-8")
    print(page)


def score_game(name: str, options: argparse.Namespace) -> list[Figures]:
    """Return a row for each start and length, beginning with the model as it is."""
    dataset, rows = EpisodeDataset(paths.data_dir(name)), []
    if MODEL in options.starts:
        as_it_is = load_checkpoint(options.checkpoint, "cpu", "auto", game=name)
        rows.append({"game": name, "start": MODEL, "minutes": 0, "seeds": [predicted(as_it_is, dataset, options)]})
    seeds = range(options.seed, options.seed + options.seeds)
    for minutes in options.minutes:
        for start in options.starts:
            fit = partial(fitted, name, start, minutes, options)
            models = (load_checkpoint(fit(seed), "cpu", "auto") for seed in seeds)
            found = [predicted(model, dataset, options) for model in models]
            rows.append({"game": name, "start": start, "minutes": minutes, "seeds": found})
            print(*cells(rows[-1]), flush=True)
    return rows


def fitted(name: str, start: str, minutes: float, options: argparse.Namespace, seed: int) -> Path:
    """Train a model, or go on with it; return the folder of its checkpoint."""
    run = paths.home() / "runs" / f"adaptation-{options.name}" / f"{name}-{start.split()[-1]}-{minutes:g}-{seed}"
    chosen = {"run": run, "out": run / "checkpoint", "minutes": minutes, "seed": seed, "threads": options.threads}
    if start == NOTHING:
        checkpoint = train(name, preset=options.preset, **chosen).checkpoint
    else:
        gentle = {"lr_scale": options.lr_scale, "weights": options.weights}
        checkpoint = finetune(options.checkpoint, game=name, **gentle, **chosen).checkpoint
    if checkpoint is None:
        raise Stopped(f"training of {name}")
    return checkpoint


def predicted(checkpoint: Checkpoint, dataset: EpisodeDataset, options: argparse.Namespace) -> Figures:
    """Return the figures of one model; clips are the same for all models of a game."""
    chosen = {key: getattr(options, key) for key in ("clips", "context", "horizon")}
    return score(predict_held_out(checkpoint, dataset, seed=options.seed, **chosen), checkpoint, options.seed)


def cells(row: Figures) -> list[str]:
    """Return the cells of a row, four steps ahead."""
    steps = [one["steps"][str(COMPARED_STEP)] for one in row["seeds"]]
    columns = [
        [one["reconstruction"]["psnr"][0] for one in row["seeds"]],
        [one["mse"][0] for one in steps],
        [one["mse_repeating"][0] for one in steps],
        [one["moving_psnr"] for one in steps],
        [one["moving_psnr_repeating"] for one in steps],
        [one["delta_psnr"][0] for one in row["seeds"]],
    ]
    return [row["game"], row["start"], f"{row['minutes']:g}", *(shown(values) for values in columns)]


def shown(values: list[float]) -> str:
    return mean_and_deviation(values) if len(set(values)) > 1 else f"{values[0]:.1f}"


if __name__ == "__main__":
    sys.exit(run_script(main))
