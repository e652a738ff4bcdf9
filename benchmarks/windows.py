"""How many random 16-frame windows a second one core reads from a recording: `python benchmarks/windows.py`.

CoinRun is recorded where procgen is installed, the toy otherwise; `--recording FOLDER` measures one you have.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from machine import RESULTS, machine_facts, write_result

from genie_gym import data, games
from genie_gym.pipeline.collect import collect

LENGTH, BATCH = 16, 16


def measure(recording: data.Recording, batches: int, rounds: int, seed: int) -> dict:
    """Median windows a second of wall and of processor time; the first batch, which opens the files, is not counted."""
    clips, rng = data.Clips(recording, LENGTH), np.random.default_rng(seed)
    clips.sample(rng, BATCH)
    wall, cpu = [], []
    for _ in range(rounds):
        start_wall, start_cpu = time.perf_counter(), time.process_time()
        for _ in range(batches):
            clips.sample(rng, BATCH)
        wall.append(batches * BATCH / (time.perf_counter() - start_wall))
        cpu.append(batches * BATCH / (time.process_time() - start_cpu))
    return {
        "windows_per_second": round(median(wall)),
        "windows_per_cpu_second": round(median(cpu)),
        "rounds": [round(value) for value in wall],
    }


def describe(recording: data.Recording) -> dict:
    frames = int(recording.lengths.sum())
    size = sum(path.stat().st_size for path in recording.folder.glob("*.h5"))
    return {
        "game": recording.header["game"]["name"],
        "episodes": len(recording),
        "frames": frames,
        "bytes_per_frame": round(size / frames),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, help="measure this folder instead of recording anew")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--batches", type=int, default=60, help="batches of 16 windows in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options, facts = parser.parse_args(), machine_facts()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.recording
        if folder is None:
            game = "CoinRun-Procgen" if games.available("CoinRun-Procgen") else "Toy-Numpy"
            folder = collect(game, steps=options.frames, out=scratch, seed=options.seed, max_steps=300).folder
        recording = data.Recording(folder)
        figures = {
            "window": LENGTH,
            "batch": BATCH,
            "seed": options.seed,
            **describe(recording),
            **measure(recording, options.batches, options.rounds, options.seed),
        }
        recording.close()
    print(json.dumps(figures, indent=2))
    print(f"kept in {write_result(RESULTS / 'windows.json', figures, facts)}")


if __name__ == "__main__":
    main()
