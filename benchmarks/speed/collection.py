"""Frames per second of collecting, by number of workers: `python -m benchmarks.speed.collection Airstriker-Genesis`.

Beside Gymnasium's AsyncVectorEnv and Stable-Baselines3's SubprocVecEnv, which step as many copies of the game in as
many processes under random actions, and store nothing; `genie-gym collect` writes compressed episodes. Starting the
processes is left out of all. Efficiency is the rate a worker, or a core where there are fewer, against that of one.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import SubprocVecEnv

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym import games
from genie_gym.collection.collect import collect
from genie_gym.errors import ConfigError


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", help="a game that can be started here")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4], help="numbers of processes")
    parser.add_argument("--steps", type=int, default=1000, help="steps of each process in a run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--max-steps", type=int, default=250, help="longest episode")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    return parser.parse_args()


def time_collect(options: argparse.Namespace, workers: int) -> float:
    """Return frames per second of `collect`: what two lengths of a run differ in, so that its start does not count."""
    reports = []
    for each in (1, 1 + max(1, options.steps // options.max_steps)):  # episodes of each worker
        with tempfile.TemporaryDirectory() as folder:
            how = {"out": folder, "workers": workers, "max_steps": options.max_steps, "seed": options.seed}
            reports.append(collect(options.game, episodes=each * workers, progress=False, **how))
    short, long = reports
    if long.seconds <= short.seconds:
        raise ConfigError(f"runs of --steps {options.steps} are too short to be told from their start; give more")
    return (long.steps - short.steps) / (long.seconds - short.seconds)


def time_vector(options: argparse.Namespace, workers: int, make: Callable[[list[Callable]], Any]) -> float:
    """Return frames per second of a vector environment under random actions."""
    env = make([partial(games.make, options.game, max_steps=options.max_steps)] * workers)
    try:
        space = getattr(env, "single_action_space", env.action_space)
        rng = np.random.default_rng(options.seed)
        env.reset()
        env.step(rng.integers(space.n, size=workers))
        started = time.perf_counter()
        for _ in range(options.steps):
            env.step(rng.integers(space.n, size=workers))
        return options.steps * workers / (time.perf_counter() - started)
    finally:
        env.close()


def asynchronous(makers: list[Callable]) -> gym.vector.VectorEnv:
    return gym.vector.AsyncVectorEnv(makers, context="forkserver")


def subprocesses(makers: list[Callable]) -> SubprocVecEnv:
    return SubprocVecEnv(makers, start_method="forkserver")


WAYS: dict[str, Callable[[argparse.Namespace, int], float]] = {
    "genie-gym collect": time_collect,
    "AsyncVectorEnv": partial(time_vector, make=asynchronous),
    "SubprocVecEnv": partial(time_vector, make=subprocesses),
}


def measure(options: argparse.Namespace) -> Figures:
    """Return the median rate and the efficiency of each way by number of workers, and all rates."""
    time_collect(options, 1)  # starts the server that workers are forked from
    rates: dict[str, dict[int, list[float]]] = {way: {workers: [] for workers in options.workers} for way in WAYS}
    for _ in range(options.rounds):  # in turn, so that a busy moment of the machine affects all
        for workers in options.workers:
            for way, rate in WAYS.items():
                rates[way][workers].append(rate(options, workers))
    return {way: describe(found) for way, found in rates.items()}


def describe(rates: dict[int, list[float]]) -> Figures:
    """Return the figures of one way."""
    medians = {workers: float(np.median(found)) for workers, found in rates.items()}
    fewest = min(medians)
    usable = {workers: min(workers, os.cpu_count() or workers) for workers in medians}
    return {
        str(workers): {
            "frames_per_second": round(median, 1),
            "efficiency": round(median / medians[fewest] * usable[fewest] / usable[workers], 2),
            "runs": np.round(rates[workers], 1).tolist(),
        }
        for workers, median in medians.items()
    }


def main() -> None:
    options, machine = read_options(), machine_facts()
    figures = {**vars(options), "ways": measure(options)}
    place = write_result(RESULTS / f"collection-{games.find(options.game).name}.json", figures, machine)
    print(json.dumps(json.loads(place.read_text()), indent=1))
    print(f"results in {place}")


if __name__ == "__main__":
    sys.exit(run_script(main))
