"""The cost of AutoExplore's reward in a real game: `python -m benchmarks.speed.reward Airstriker-Genesis`.

Agent steps per second of the same emulators, each in a process of its own, with the reward and without, in turn: under
random actions, and of an explorer that learns (RecurrentPPO with the paper's network). The same with one step in
`--score-interval` scored, and with the scoring compiled.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym.sb3 import ExplorerConfig, VecAutoExploreReward, make_explorer, make_game_vec_env

WARM_UP = 6  # steps of each run that are not counted: the first ones of an episode are not scored

Rates = dict[str, list[float]]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", help="a game with a ROM and with weights")
    parser.add_argument("--envs", type=int, default=8, help="copies of the game")
    parser.add_argument("--steps", type=int, default=16, help="steps of each environment in a run under random actions")
    parser.add_argument("--rollout", type=int, default=64, help="steps of each environment in an explorer's rollout")
    parser.add_argument("--score-interval", type=int, default=4, help="also measure with one step in so many scored")
    parser.add_argument("--runs", type=int, default=5, help="runs under random actions")
    parser.add_argument("--explorer-runs", type=int, default=3, help="runs of an explorer that learns")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads; the emulators need the other cores")
    parser.add_argument("--device", default="auto", help="device of the world model")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    return parser.parse_args()


def wrapped(games: VecEnv, options: argparse.Namespace) -> dict[str, VecEnv]:
    """Return the games without the reward, and with it in each way to be measured."""
    envs = {"without": games}
    for name, interval in (("with", 1), (f"one step in {options.score_interval}", options.score_interval)):
        for way, compiled in (("", False), (", compiled", True)):
            how = {"score_interval": interval, "compile": compiled, "device": options.device}
            envs[name + way] = VecAutoExploreReward(games, options.game, **how)
    return envs


def time_games(env: VecEnv, steps: int, seed: int) -> float:
    """Return agent steps per second under random actions."""
    rng = np.random.default_rng(seed)
    actions = int(env.action_space.n)  # type: ignore[attr-defined]
    env.reset()
    started = time.perf_counter()
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            started = time.perf_counter()
        env.step(rng.integers(actions, size=env.num_envs))
    return steps * env.num_envs / (time.perf_counter() - started)


def time_explorer(env: VecEnv, config: ExplorerConfig, seed: int) -> float:
    """Return agent steps per second of one rollout and the update that follows, after one of both to warm up."""
    explorer = make_explorer(env, config, seed=seed, device="cpu")
    steps = config.n_steps * env.num_envs
    explorer.learn(steps)  # resets all games, and an episode's first steps are not scored
    started = time.perf_counter()
    explorer.learn(steps, reset_num_timesteps=False)
    return steps / (time.perf_counter() - started)


def measure(envs: dict[str, VecEnv], options: argparse.Namespace) -> tuple[Rates, Rates]:
    """Return the rates of every run under random actions and of learning explorers."""
    config = ExplorerConfig(n_steps=options.rollout)
    alone: Rates = {name: [] for name in envs}
    learning: Rates = {name: [] for name in envs}
    for env in envs.values():  # whatever compiles does so before anything is timed
        time_games(env, options.score_interval, options.seed)
    for run in range(options.runs):  # in turn, so that a busy moment of the machine affects all
        for name, env in envs.items():
            alone[name].append(time_games(env, options.steps * (8 if name == "without" else 1), options.seed + run))
            if run < options.explorer_runs:
                learning[name].append(time_explorer(env, config, options.seed + run))
    return alone, learning


def describe(rates: Rates) -> Figures:
    """Return the median rate, all rates, and the share of the throughput that each reward costs."""
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    return {
        name: {
            "steps_per_second": round(medians[name], 1),
            "throughput_lost": round(1 - medians[name] / medians["without"], 3),
            "runs": [round(rate, 1) for rate in values],
        }
        for name, values in rates.items()
    }


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    games = make_game_vec_env(options.game, options.envs, seed=options.seed)
    alone, learning = measure(wrapped(games, options), options)
    games.close()
    figures = {**vars(options), "games_alone": describe(alone), "explorer_learning": describe(learning)}
    print(json.dumps(figures, indent=2))
    print(f"results in {write_result(RESULTS / 'reward_speed.json', figures, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
