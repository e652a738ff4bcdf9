"""Options that several scripts on a trained world model share."""

import argparse
from pathlib import Path

import torch

__all__ = ["model_options"]


def model_options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options checkpoint, data, threads and device."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or name of a game")
    parser.add_argument("--data", type=Path, help="folder of the dataset; the game's own by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser
