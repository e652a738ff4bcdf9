"""How fast a dream steps, alone and in a batch: `python benchmarks/dream_speed.py Airstriker-Genesis`.

Takes a checkpoint folder, a hub id, or the name of a game whose weights are at hand, and measures the environments as
users make them, several times in turn. With --data, also how good frames are at t = 4 with 1 to 8 sampling steps.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import write_result

from genie_gym.cli.names import find_checkpoint
from genie_gym.data import Recording
from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.world_model.weights import load_weights

SAMPLING_STEPS = (1, 2, 4, 8)
WARM_UP = 10  # steps not counted: first touches of memory, and choices torch makes once


def time_alone(checkpoint: str, steps: int, **options: Any) -> list[float]:
    """Seconds of each step of one dream."""
    env = WorldModelEnv(checkpoint=checkpoint, ends=False, **options)
    env.reset(seed=0)
    return _time(lambda action: env.step(int(action[0])), 1, int(env.action_space.n), steps)


def time_batch(checkpoint: str, steps: int, batch: int, **options: Any) -> list[float]:
    """Seconds of each step of a batch of dreams."""
    env = WorldModelVectorEnv(batch, checkpoint=checkpoint, ends=False, **options)
    env.reset(seed=0)
    return _time(env.step, batch, int(env.single_action_space.n), steps)


def _time(step: Any, batch: int, actions: int, steps: int) -> list[float]:
    rng, seconds = np.random.default_rng(0), []
    for _ in range(WARM_UP + steps):
        action = rng.integers(actions, size=batch)
        started = time.perf_counter()
        step(action)
        seconds.append(time.perf_counter() - started)
    return seconds[WARM_UP:]


def describe(runs: list[list[float]], batch: int) -> dict[str, Any]:
    """Frames a second of the median run and of each; milliseconds a step, over all runs."""
    rates = [batch * len(run) / sum(run) for run in runs]
    p50, p99 = np.percentile(np.concatenate(runs), [50, 99]) * 1000
    return {
        "frames_per_second": round(float(np.median(rates)), 1),
        "runs": [round(rate, 1) for rate in rates],
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
    }


def quality(checkpoint: str, data: Path, device: str, precision: str) -> dict[str, Any]:
    """PSNR and delta-PSNR at t = 4 by number of sampling steps."""
    loaded, recording = load_weights(checkpoint, device, precision), Recording(data)
    found = {}
    for steps in SAMPLING_STEPS:
        sampling = replace(loaded.sampling, steps=steps)
        figures = evaluate(loaded, recording, horizon=4, sampling=sampling, long_steps=0)
        found[str(steps)] = {
            "psnr_t4": figures["prediction"]["psnr"][3],
            "moving_psnr_t4": figures["prediction"]["moving_psnr"][3],
            "delta_psnr": figures["control"]["delta_psnr"],
            "delta_psnr_last_action": figures["control"]["delta_psnr_last_action"],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or game")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=150, help="steps of one run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, help="CPU threads; torch's choice by default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--data", type=Path, help="folder of a recording: measures quality too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    place, how = find_checkpoint(options.checkpoint), {"device": options.device, "precision": options.precision}
    loaded = load_weights(place, options.device, options.precision)
    figures: dict[str, Any] = {
        "game": loaded.game["name"],
        "sampling_steps": loaded.sampling.steps,
        "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
        "threads": torch.get_num_threads(),
        "batch": options.batch,
        "dtype": str(loaded.model.dtype),
    }
    alone, together = [], []
    for _ in range(options.runs):  # in turn, so that a busy moment of the machine hits both
        alone.append(time_alone(place, options.steps, **how))
        together.append(time_batch(place, options.steps, options.batch, **how))
    figures |= {"alone": describe(alone, 1), "together": describe(together, options.batch)}
    figures["by_sampling_steps"] = {
        str(steps): describe([time_alone(place, options.steps, sampling_steps=steps, **how)], 1)
        for steps in SAMPLING_STEPS
    }
    if options.data:
        figures["quality"] = quality(place, options.data, **how)
    print(json.dumps(figures, indent=2))
    print(f"kept in {write_result('dream_speed', figures)}")


if __name__ == "__main__":
    main()
