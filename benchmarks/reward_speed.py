"""What AutoExplore's reward costs in a real game: `python benchmarks/reward_speed.py Airstriker-Genesis`.

Agent steps a second of the same emulators, each in a process of its own, with the reward and without, in turn: of
games under random actions, and of an explorer that learns (RecurrentPPO with the paper's network). The same with one
step in `--every` scored, and with the scoring compiled.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from machine import RESULTS, machine_facts, write_result
from stable_baselines3.common.vec_env import VecEnv

from genie_gym.sb3 import ExplorerConfig, VecAutoExploreReward, make_explorer, make_game_vec_env

WARM_UP = 6  # steps of each run that are not counted: an episode's first are not scored


def time_games(env: VecEnv, steps: int, seed: int) -> float:
    """Agent steps a second under random actions."""
    rng = np.random.default_rng(seed)
    env.reset()
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            started = time.perf_counter()
        env.step(rng.integers(env.action_space.n, size=env.num_envs))
    return steps * env.num_envs / (time.perf_counter() - started)


def time_explorer(env: VecEnv, config: ExplorerConfig, seed: int) -> float:
    """Agent steps a second of one rollout and the update that follows; a first of either is not counted."""
    explorer = make_explorer(env, config, seed=seed, device="cpu")
    explorer.learn(config.steps * env.num_envs)  # resets all games, and an episode's first steps are not scored
    started = time.perf_counter()
    explorer.learn(config.steps * env.num_envs, reset_num_timesteps=False)
    return config.steps * env.num_envs / (time.perf_counter() - started)


def describe(runs: dict[str, list[float]]) -> dict[str, Any]:
    """Median rates, all rates, and the share of throughput that each reward costs."""
    medians = {name: float(np.median(rates)) for name, rates in runs.items()}
    return {
        name: {
            "steps_per_second": round(medians[name], 1),
            "lost": round(1 - medians[name] / medians["without"], 3),
            "runs": [round(rate, 1) for rate in rates],
        }
        for name, rates in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", help="a game with a ROM and with weights at hand")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=16, help="steps of each environment in a run under random actions")
    parser.add_argument("--rollout", type=int, default=64, help="steps of each environment in an explorer's rollout")
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--explorer-runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch; the emulators need the other cores")
    parser.add_argument("--device", default="auto", help="of the world model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = machine_facts()
    games = make_game_vec_env(options.game, options.envs, seed=options.seed)
    envs: dict[str, VecEnv] = {"without": games}
    for name, every in (("with", 1), (f"one step in {options.every}", options.every)):
        for way, compiled in (("", False), (", compiled", True)):
            how = {"every": every, "compile": compiled, "device": options.device}
            envs[name + way] = VecAutoExploreReward(games, options.game, **how)
    for env in envs.values():  # whatever compiles does so before anything is timed
        time_games(env, options.every, options.seed)
    config = ExplorerConfig(steps=options.rollout)
    alone: dict[str, list[float]] = {name: [] for name in envs}
    learning: dict[str, list[float]] = {name: [] for name in envs}
    for run in range(options.runs):  # in turn, so that a busy moment of the machine hits all
        for name, env in envs.items():
            alone[name].append(time_games(env, options.steps * (8 if name == "without" else 1), options.seed + run))
            if run < options.explorer_runs:
                learning[name].append(time_explorer(env, config, options.seed + run))
    games.close()
    figures = {**vars(options), "games_alone": describe(alone), "explorer_learning": describe(learning)}
    print(json.dumps(figures, indent=2))
    print(f"kept in {write_result(RESULTS / 'reward_speed.json', figures, facts)}")


if __name__ == "__main__":
    main()
