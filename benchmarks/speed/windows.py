"""Random 16-frame windows that one core reads per second from a dataset: `python -m benchmarks.speed.windows`.

CoinRun is recorded if procgen is installed, else the toy game; `--data FOLDER` measures a dataset that you have.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym import games
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset, SequenceDataset

LENGTH, BATCH_SIZE = 16, 16


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of a dataset to measure, rather than a new one")
    parser.add_argument("--frames", type=int, default=20_000, help="frames of a new dataset")
    parser.add_argument("--batches", type=int, default=60, help="batches of 16 windows in a round")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    return parser.parse_args()


def record(frames: int, seed: int, folder: str) -> Path:
    """Record a dataset; return its folder."""
    game = "CoinRun-Procgen" if games.available("CoinRun-Procgen") else "Toy-Numpy"
    return collect(game, steps=frames, out=folder, seed=seed, max_steps=300).folder


def measure(dataset: EpisodeDataset, batches: int, rounds: int, seed: int) -> Figures:
    """Return the median windows per second of wall and of processor time, without the batch that opens the files."""
    clips, rng = SequenceDataset(dataset, LENGTH), np.random.default_rng(seed)
    clips.sample(rng, BATCH_SIZE)
    wall, cpu = [], []
    for _ in range(rounds):
        start_wall, start_cpu = time.perf_counter(), time.process_time()
        for _ in range(batches):
            clips.sample(rng, BATCH_SIZE)
        wall.append(batches * BATCH_SIZE / (time.perf_counter() - start_wall))
        cpu.append(batches * BATCH_SIZE / (time.process_time() - start_cpu))
    return {
        "windows_per_second": round(median(wall)),
        "windows_per_cpu_second": round(median(cpu)),
        "rounds": [round(value) for value in wall],
    }


def describe(dataset: EpisodeDataset) -> Figures:
    """Return the size of a dataset."""
    frames = int(dataset.lengths.sum())
    size = sum(path.stat().st_size for path in dataset.folder.glob("*.h5"))
    game = dataset.header["game"]["name"]
    return {"game": game, "episodes": len(dataset), "frames": frames, "bytes_per_frame": round(size / frames)}


def main() -> None:
    options, machine = read_options(), machine_facts()
    figures: Figures = {"window": LENGTH, "batch_size": BATCH_SIZE, "seed": options.seed}
    with tempfile.TemporaryDirectory() as scratch:
        dataset = EpisodeDataset(options.data or record(options.frames, options.seed, scratch))
        figures |= describe(dataset) | measure(dataset, options.batches, options.rounds, options.seed)
        dataset.close()
    print(json.dumps(figures, indent=2))
    print(f"results in {write_result(RESULTS / 'windows.json', figures, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
