"""How frames had best be drawn: `python benchmarks/sampling.py Airstriker-Genesis --data FOLDER`.

For several numbers of sampling steps, orders and temperatures: what a step costs, how close short predictions are, and
how lifelike long dreams stay. Each way is kept in --work as soon as it is measured, and the same command goes on where
it stopped. Writes sampling.json, a table sampling.md and a plot sampling.png below benchmarks/results. The frontier is
drawn over time a step against the Frechet distance late in dreams, since sharper draws gain decibels at t = 4 but
freeze whatever waits.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from arms import Arms
from machine import RESULTS, write_result

from genie_gym import paths
from genie_gym.cli.names import find_checkpoint
from genie_gym.data import Recording
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.world_model import Checkpoint, Sampling
from genie_gym.world_model.weights import load_weights

matplotlib.use("Agg")
import matplotlib.pyplot as plt

WAYS = [  # defaults: 1 step, random order, T = 1, floor 0.02
    *(Sampling(steps=steps) for steps in (1, 2, 4, 8, 25)),
    *(Sampling(steps=steps, order="confidence") for steps in (2, 8)),
    *(Sampling(steps=steps, temperature=0.7) for steps in (1, 2)),
    Sampling(steps=1, temperature=0.0),
    Sampling(steps=2, temperature=0.0, order="confidence"),
    Sampling(steps=8, temperature=0.0, order="confidence"),
    *(Sampling(steps=steps, floor=0.1) for steps in (1, 2)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or game")
    parser.add_argument("--data", type=Path, help="folder of the recording; the game's own by default")
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--long-steps", type=int, default=300)
    parser.add_argument("--dreams", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--work", type=Path, default=paths.home() / "runs" / "sampling", help="keeps each way's figures"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    place = find_checkpoint(options.checkpoint)
    checkpoint = load_weights(place, options.device, "auto")
    recording = Recording(options.data or paths.data_dir(checkpoint.game["name"]))
    sizes = {"clips": options.clips, "long_steps": options.long_steps, "dreams": options.dreams}
    told = {"checkpoint": place, "recording": str(recording.folder), "seed": 0, **sizes, "threads": options.threads}
    arms = Arms(options.work, told)
    times = arms.arm("times", lambda folder: {"ms": step_times(checkpoint, WAYS)})[1]["ms"]
    rows = []
    for way, milliseconds in zip(WAYS, times, strict=True):
        name = "-".join(str(value) for value in asdict(way).values())
        found = arms.arm(
            name,
            lambda folder, way=way: _of_interest(evaluate(checkpoint, recording, horizon=4, sampling=way, **sizes)),
        )[1]
        rows.append(asdict(way) | {"ms": round(milliseconds, 2)} | found)
        print(json.dumps(rows[-1]), flush=True)
    write(rows, checkpoint.game["name"], sizes | {"seed": 0, "threads": options.threads}, arms.made(), options.out)


def step_times(checkpoint: Checkpoint, ways: list[Sampling], rounds: int = 20) -> list[float]:
    """Median milliseconds of a step of one dream, each way in turn so that a busy moment hits all."""
    frames, led = checkpoint.starts["frames"][:1], checkpoint.starts["actions"][:1]
    states = [checkpoint.model.start(frames, led)[0] for _ in ways]
    times = np.zeros((rounds, len(ways)))
    for i in range(rounds):
        for j, (state, way) in enumerate(zip(states, ways, strict=True)):
            started = time.perf_counter()
            checkpoint.model.step(state, torch.zeros(1, dtype=torch.int64), way).frames.cpu()
            times[i, j] = time.perf_counter() - started
    return list(np.median(times, 0) * 1e3)


def _of_interest(figures: dict[str, Any]) -> dict[str, Any]:
    found = {
        "psnr_t4": figures["prediction"]["psnr"][3],
        "moving_psnr_t4": figures["prediction"]["moving_psnr"][3],
        "delta_psnr": figures["control"]["delta_psnr"],
        "frechet_late": figures["long"]["frechet"]["late"],
        "frechet_real": figures["long"]["frechet"]["real"],
    }
    if figures["long"]["sprite"]:
        found |= {"player": figures["long"]["sprite"]["overall"], "doubled": figures["long"]["sprite"]["doubled"]}
    return {name: round(value, 3) for name, value in found.items()}


def write(rows: list[dict[str, Any]], game: str, settings: dict[str, Any], made: dict[str, Any], out: Path) -> None:
    write_result(out / "sampling.json", {"game": game, "settings": settings, "rows": rows}, made)
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(row.get(head, "")) for head in heads) + " |" for row in rows]
    (out / "sampling.md").write_text("\n".join(lines) + "\n")
    plot(rows, out / "sampling.png")


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
    for axis, key, label in zip(
        axes, ("frechet_late", "psnr_t4"), ("Frechet distance late in dreams", "PSNR at t = 4, dB"), strict=True
    ):
        for row in rows:
            name = f"{row['steps']} {row['order'][:4]} T={row['temperature']}" + f" f={row['floor']}" * (
                row["floor"] != Sampling().floor
            )
            axis.plot(row["ms"], row[key], "o", color="tab:blue" if row["order"] == "random" else "tab:orange")
            axis.annotate(name, (row["ms"], row[key]), fontsize=7, xytext=(3, 3), textcoords="offset points")
        axis.set(xscale="log", xlabel="ms a step, one dream", ylabel=label)
        axis.margins(x=0.2)
        shown = sorted({row["steps"]: row["ms"] for row in rows}.values())
        axis.set_xticks(shown, [f"{ms:.0f}" for ms in shown])
        axis.set_xticks([], minor=True)
    axes[0].axhline(rows[0]["frechet_real"], color="gray", linestyle=":", label="real against real")
    axes[0].set_yscale("log")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
