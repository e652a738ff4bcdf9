"""How fast plans are weighed in a dream: `python -m benchmarks.speed.planning`.

The same plans, drawn at random, are carried out from the same moment in copies of one environment (`copy.deepcopy` of
it for each plan), in its branches (`env.branch`, one batch), and by `env.look_ahead`. The three take turns. The returns
must be the same, or nothing is reported. Times are of the wall and of the processor: where other programs run, the
latter with `--threads 1` is what to compare. With that, where the processor's time of `look_ahead` goes is told too,
and how many times as fast as by deepcopy it would be if products of matrices, or these and attention, took all of it.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.operation_clock import OperationClock
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym.envs import WorldModelEnv

BEFORE = 8  # steps before the moment, so that the caches are full
TOLERANCE = 1e-3  # a batch rounds otherwise than single steps

Way = Callable[[WorldModelEnv, np.ndarray], np.ndarray]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Airstriker-Genesis", help="game with weights, or a checkpoint folder")
    parser.add_argument("--plans", type=int, default=32, help="plans weighed at once")
    parser.add_argument("--steps", type=int, default=8, help="steps of each plan")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each way")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--out", type=Path, default=RESULTS / "planning.json", help="file of the figures")
    return parser.parse_args()


def by_deepcopy(env: WorldModelEnv, plans: np.ndarray) -> np.ndarray:
    """Return the return of each plan in a copy of the environment of its own: float (k,)."""
    returns = []
    for plan in plans:
        twin = copy.deepcopy(env)
        returns.append(sum(twin.step(action)[1] for action in plan))
    return np.array(returns)


def by_branch(env: WorldModelEnv, plans: np.ndarray) -> np.ndarray:
    """Return the same from one batch of branches."""
    branches = env.branch(len(plans))
    return np.sum([branches.step(actions)[1] for actions in plans.T], axis=0)


def by_look_ahead(env: WorldModelEnv, plans: np.ndarray) -> np.ndarray:
    """Return the same without frames, and with beginnings that plans share taken once."""
    return env.look_ahead(plans).rewards.sum(1)


WAYS: dict[str, Way] = {"deepcopy": by_deepcopy, "branch": by_branch, "look_ahead": by_look_ahead}


def timed(way: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Return the seconds of wall and of processor time that a way takes, and the returns."""
    wall, processor = time.perf_counter(), time.process_time()
    returns = way()
    return time.perf_counter() - wall, time.process_time() - processor, returns


def measure(env: WorldModelEnv, plans: np.ndarray, rounds: int) -> Figures:
    """Return the median seconds of each way, and how many times as fast as by deepcopy the others are."""
    wall: dict[str, list[float]] = {name: [] for name in WAYS}
    processor: dict[str, list[float]] = {name: [] for name in WAYS}
    furthest = dict.fromkeys(WAYS, 0.0)
    for number in range(1 + rounds):
        expected = None
        for name, way in WAYS.items():
            *taken, returns = timed(partial(way, env, plans))
            expected = returns if expected is None else expected
            np.testing.assert_allclose(returns, expected, rtol=TOLERANCE, atol=TOLERANCE)
            furthest[name] = max(furthest[name], float(np.abs(returns - expected).max()))
            if number > 0:  # the first round warms up
                wall[name].append(taken[0])
                processor[name].append(taken[1])
    return {"wall": compared(wall), "processor": compared(processor), "largest_difference": furthest}


def least(env: WorldModelEnv, plans: np.ndarray, deepcopy_seconds: float) -> Figures:
    """Return where the processor's time of `look_ahead` goes, and the bounds on its speed that follow from that."""
    with OperationClock() as clock:
        by_look_ahead(env, plans)
    products, attention = clock.seconds["products"], clock.seconds["attention"]
    bounds = {"products": products, "products and attention": products + attention}
    return {
        "seconds": {kind: round(taken, 4) for kind, taken in clock.seconds.items()},
        "times_as_fast_at_most": {kind: round(deepcopy_seconds / taken, 1) for kind, taken in bounds.items() if taken},
    }


def compared(seconds: dict[str, list[float]]) -> Figures:
    """Return the median of each way, how many times as fast as by deepcopy it is, and all measurements."""
    medians = {name: median(taken) for name, taken in seconds.items()}
    return {
        "seconds": {name: round(value, 3) for name, value in medians.items()},
        "times_as_fast": {name: round(medians["deepcopy"] / value, 1) for name, value in medians.items()},
        "measurements": {name: [round(one, 3) for one in taken] for name, taken in seconds.items()},
    }


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    env = WorldModelEnv(checkpoint=options.game, device=options.device, terminate=False)
    env.reset(seed=options.seed)
    rng = np.random.default_rng(options.seed)
    actions = int(env.action_space.n)  # type: ignore[attr-defined]
    for action in rng.integers(actions, size=BEFORE):
        env.step(action)
    plans = rng.integers(actions, size=(options.plans, options.steps))
    figures: Figures = {name: value for name, value in vars(options).items() if name != "out"}
    figures |= measure(env, plans, options.rounds)
    if env._engine.model.device.type == "cpu" and options.threads == 1:
        figures["look_ahead"] = least(env, plans, figures["processor"]["seconds"]["deepcopy"])
    print(json.dumps(figures, indent=2))
    print(f"results in {write_result(options.out, figures, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
