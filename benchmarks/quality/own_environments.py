"""Worlds of environments that this package knows nothing about: `python -m benchmarks.quality.own_environments`.

Records MiniGrid-FourRooms, CarRacing and highway-v0 as the tutorial on your own environment does, trains a world of
each, and predicts held-out clips. Resumable, though processor time is that of the last call; checkpoint folders in
place of names are scored alone. Errors are means over clips with the standard error over clips; how far a prediction is
below repeating the last frame is measured clip by clip. Writes own-environments.json and a table, in which other worlds
are kept, and for each world a strip of the first clips: the real frames, below them the dreamed ones.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.experiment import Stopped, run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_result
from benchmarks.quality.scoring import ERRORS, predict_held_out, score, strip
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.config import COMPARED_STEP
from genie_gym.evaluation.report import write_grid
from genie_gym.training.world_model import train
from genie_gym.utils import paths
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint

HEADS = ("world", "trained", "t", "MSE", "repeating", "less by", "moving pixels, dB", "repeating, dB", "delta-PSNR, dB")


@dataclass(frozen=True)
class Recipe:
    """How a world of an environment is made.

    Attributes:
        env: Its id.
        preset: Preset of the world.
        options: Options of `collect`.
    """

    env: str
    preset: str = "tiny"
    options: dict[str, Any] = field(default_factory=dict)


# Half as many cars, and five steps of simulation a second, are several times as fast; a square screen has larger cars.
HIGHWAY = {
    "vehicles_count": 20,
    "simulation_frequency": 5,
    "policy_frequency": 5,
    "screen_width": 200,
    "screen_height": 200,
}
RECIPES = {
    "FourRooms": Recipe("MiniGrid-FourRooms-v0", options={"env_actions": [0, 1, 2]}),  # the others do nothing there
    "CarRacing": Recipe(
        "CarRacing-v3", options={"env_kwargs": {"continuous": False}, "policy": "sticky", "max_steps": 250}
    ),
    "Highway": Recipe("highway-v0", options={"env_kwargs": {"config": HIGHWAY}}),
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=list(RECIPES), help="some of the names, or checkpoint folders")
    parser.add_argument("--steps", type=int, default=10_000, help="steps that are recorded of each environment")
    parser.add_argument("--minutes", type=float, default=20.0, help="training time of each world")
    parser.add_argument("--preset", help="another preset for all of them")
    parser.add_argument("--clips", type=int, default=128, help="held-out clips to predict")
    parser.add_argument("--context", type=int, default=4, help="real frames that a clip begins with")
    parser.add_argument("--horizon", type=int, default=16, help="frames predicted of each clip")
    parser.add_argument("--shown", type=int, default=2, help="clips in the strip, the first that were drawn")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    for world in options.worlds:
        spent: Figures = {}
        if world in RECIPES:
            world, spent = make_world(world, RECIPES[world], options)
        checkpoint = load_checkpoint(resolve_checkpoint(world), "cpu", "auto")
        name = f"{checkpoint.game['title']}-{checkpoint.metadata.preset}"
        chosen = {key: getattr(options, key) for key in ("clips", "context", "horizon", "seed")}
        clips = predict_held_out(checkpoint, EpisodeDataset(paths.data_dir(checkpoint.game["name"])), **chosen)
        write_grid(options.out / f"own-environments-{name}.png", strip(clips.real, clips.predicted, options.shown))
        figures = {**describe(checkpoint), **spent, **score(clips, checkpoint, options.seed)}
        settings = chosen | {"threads": options.threads}
        add_result(options.out / "own-environments.json", name, {"settings": settings, **figures, "machine": machine})
        print(name, json.dumps(figures["steps"], indent=1), json.dumps(figures["delta_psnr"]))


def make_world(title: str, recipe: Recipe, options: argparse.Namespace) -> tuple[str, Figures]:
    """Record an environment and train a world of it; return its checkpoint folder and the processor's time it took."""
    preset = options.preset or recipe.preset
    game = collect(recipe.env, game=title, steps=options.steps, workers=1, **recipe.options).game
    started = time.process_time()
    out = paths.home() / "runs" / f"{game}-{preset}" / "checkpoint"
    report = train(game, preset=preset, minutes=options.minutes, threads=options.threads, out=out)
    if report.checkpoint is None:
        raise Stopped(f"training of {game}")
    return str(out), {"minutes": options.minutes, "cpu_minutes": (time.process_time() - started) / 60}


def describe(checkpoint: Checkpoint) -> Figures:
    """Return which environment it is, what it was trained on, and for how long."""
    plain = checkpoint.metadata.to_dict()
    return {"env": checkpoint.game.get("env"), **{key: plain[key] for key in ("preset", "data", "stages", "software")}}


def add_result(path: Path, name: str, figures: Figures) -> None:
    """Write the figures of one world to a file beside those of others, and a page of them all."""
    known: Figures = json.loads(path.read_text()) if path.is_file() else {}
    before = known.get(name, {})
    if before.get("stages") == to_jsonable(figures["stages"]):  # the same model, scored again
        figures = {key: before[key] for key in ("minutes", "cpu_minutes") if key in before} | figures
    worlds = {key: value for key, value in known.items() if key != "machine"} | {name: to_jsonable(figures)}
    write_result(path, worlds, figures["machine"])
    rows = [row for name, one in worlds.items() for row in table_rows(name, one)]
    path.with_suffix(".md").write_text(markdown_table(HEADS, rows, left=2) + "\n", encoding="utf-8")


def table_rows(name: str, world: Figures) -> list[list[str]]:
    """Return a row for each step of one world; what belongs to the world as a whole stands in the first."""
    rows: list[list[str]] = []
    for t, step in world["steps"].items():
        errors = [f"{step[key][0]:.0f} ± {step[key][1]:.0f}" for key in ERRORS]
        moving = [f"{step[key]:.1f}" for key in ("moving_psnr", "moving_psnr_repeating")]
        loss = f"{world['delta_psnr'][0]:.1f} ± {world['delta_psnr'][1]:.1f}" if int(t) == COMPARED_STEP else ""
        rows.append(["" if rows else name, "" if rows else how_long(world), t, *errors, *moving, loss])
    return rows


def how_long(world: Figures) -> str:
    """Return in words how long a world was trained."""
    steps = " + ".join(f"{stage['steps']:,}" for stage in world["stages"].values())
    minutes = sum(stage["minutes"] for stage in world["stages"].values())
    spent = f", {world['cpu_minutes']:.0f} of one core" if "cpu_minutes" in world else ""
    return f"{steps} steps in {minutes:.0f} minutes{spent}"


if __name__ == "__main__":
    sys.exit(run_script(main))
