"""Options that several scripts on a trained world model share."""

import argparse
from pathlib import Path

import torch

from benchmarks.common.results import RESULTS

__all__ = ["add_game_options", "model_options"]


def model_options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options checkpoint, data, threads and device."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or name of a game")
    parser.add_argument("--data", type=Path, help="folder of the dataset; the game's own by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser


def add_game_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is recorded of each of several games and predicted of its held-out clips."""
    parser.add_argument("--steps", type=int, default=6000, help="steps that are recorded of each game")
    parser.add_argument("--max-steps", type=int, default=250, help="longest episode")
    parser.add_argument("--name", default="Atari", help="name of the model of many games, and of the result")
    parser.add_argument("--preset", default="tiny", help="preset of all models")
    parser.add_argument("--clips", type=int, default=32, help="held-out clips of each game to predict")
    parser.add_argument("--context", type=int, default=4, help="real frames that a clip begins with")
    parser.add_argument("--horizon", type=int, default=16, help="frames predicted of each clip")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
