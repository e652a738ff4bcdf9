"""How good a world model is on held-out episodes: `python -m benchmarks.quality.quality Airstriker-Genesis`.

Takes a checkpoint folder, a hub id, or the name of a game with weights. Writes the figures with facts about the machine
as JSON, image strips beside them, and prints a table. Frames are sampled as the checkpoint says unless options say
otherwise.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks.common.evaluation import evaluate_model
from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.options import model_options
from benchmarks.common.results import RESULTS, write_result
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.sprites import SpriteBox, cut_sprite
from genie_gym.utils import paths
from genie_gym.utils.options import SamplingOptions
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint


def read_options() -> argparse.Namespace:
    parser = model_options(__doc__)
    parser.add_argument("--out", type=Path, help="folder of the results; below benchmarks/results by default")
    parser.add_argument("--clips", type=int, default=128, help="clips to predict")
    parser.add_argument("--context", type=int, default=2, help="real frames that a clip begins with")
    parser.add_argument("--horizon", type=int, default=10, help="frames predicted of each clip")
    parser.add_argument("--long-steps", type=int, default=1000, help="steps of long rollouts; 0 leaves them out")
    parser.add_argument("--num-rollouts", type=int, default=16, help="number of long rollouts")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--sampling-steps", type=int, help="MaskGIT passes per frame")
    parser.add_argument("--temperature", type=float, help="sampling temperature")
    parser.add_argument("--order", choices=("confidence", "random"), help="order in which tokens are unmasked")
    parser.add_argument("--min-p", type=float, help="share of the likeliest token below which none is sampled")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument(
        "--sprite", type=int, nargs=4, metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"), help="where episodes show the player"
    )
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    checkpoint = load_checkpoint(resolve_checkpoint(options.checkpoint), options.device, options.precision)
    game = checkpoint.game["name"]
    dataset, out = EpisodeDataset(options.data or paths.data_dir(game)), options.out or RESULTS / f"quality-{game}"
    chosen = {name: getattr(options, name) for name in ("sampling_steps", "temperature", "order", "min_p")}
    report = evaluate_model(
        checkpoint,
        dataset,
        clips=options.clips,
        context=options.context,
        horizon=options.horizon,
        sampling=checkpoint.sampling.with_overrides(SamplingOptions(**chosen)),
        seed=options.seed,
        long_steps=options.long_steps,
        num_rollouts=options.num_rollouts,
        sprite=cut_sprite(dataset, SpriteBox(*options.sprite)) if options.sprite else None,
        out=out,
    )
    figures = report.to_dict()
    figures["checkpoint"] = {"metadata": checkpoint.metadata.to_dict(), "dtype": str(checkpoint.model.dtype)}
    figures["data"] = {"episodes": len(dataset), "frames": int(np.sum(dataset.lengths))}
    write_result(out / "quality.json", figures, machine)
    Console().print(report.summary())
    print(f"results in {out}")


if __name__ == "__main__":
    sys.exit(run_script(main))
