"""How good a world model is on held-out play: `python benchmarks/quality.py Airstriker-Genesis`.

Takes a checkpoint folder, a hub id, or the name of a game whose weights are at hand. Writes the figures with the
machine's facts as JSON, strips of pictures beside them, and prints a table. Tokens are drawn in the checkpoint's own
way unless said otherwise.
"""

import argparse
from pathlib import Path

import numpy as np
from machine import RESULTS, machine_facts, write_result
from rich.console import Console

from genie_gym import paths
from genie_gym.cli.names import find_checkpoint
from genie_gym.data import Recording
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.figures import summary
from genie_gym.pipeline.sprites import Place, cut_sprite
from genie_gym.world_model.weights import load_weights


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or game")
    parser.add_argument("--data", type=Path, help="folder of the recording; the game's own by default")
    parser.add_argument("--out", type=Path, help="folder of the results; below benchmarks/results by default")
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--context", type=int, default=2)
    parser.add_argument("--horizon", type=int, default=10)
    parser.add_argument("--long-steps", type=int, default=1000, help="0 leaves the long dreams out")
    parser.add_argument("--dreams", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampling-steps", type=int, dest="steps")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--order", choices=("confidence", "random"))
    parser.add_argument("--floor", type=float)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument(
        "--sprite", type=int, nargs=4, metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"), help="where episodes show the player"
    )
    return parser.parse_args()


def main() -> None:
    options, facts = read_options(), machine_facts()
    checkpoint = load_weights(find_checkpoint(options.checkpoint), options.device, options.precision)
    game = checkpoint.game["name"]
    recording = Recording(options.data or paths.data_dir(game))
    chosen = {name: getattr(options, name) for name in ("steps", "temperature", "order", "floor")}
    sampling = checkpoint.sampling.changed(**chosen)
    out = options.out or RESULTS / f"quality-{game}"
    figures = evaluate(
        checkpoint,
        recording,
        clips=options.clips,
        context=options.context,
        horizon=options.horizon,
        sampling=sampling,
        seed=options.seed,
        long_steps=options.long_steps,
        dreams=options.dreams,
        sprite=cut_sprite(recording, Place(*options.sprite)) if options.sprite else None,
        out=out,
    )
    figures["checkpoint"] = {"made": checkpoint.provenance, "dtype": str(checkpoint.model.dtype)}
    figures["data"] = {"episodes": len(recording), "frames": int(np.sum(recording.lengths))}
    write_result(out / "quality.json", figures, facts)
    Console().print(summary(figures))
    print(f"kept in {out}")


if __name__ == "__main__":
    main()
