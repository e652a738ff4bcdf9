"""Trains PPO in imagination alone, then evaluates it in the real game beside random actions.

And beside PPO that is trained in the real game, for as many steps as the model has learned from:

python training/ppo_in_dream.py --game Airstriker-Genesis --steps 100000 --real-steps 100000 --seeds 0 1 2
"""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecTransposeImage

from genie_gym.sb3 import ImaginedVecEnv, load_agent, make_game_vec_env, save_agent
from genie_gym.training.records import software_used
from genie_gym.utils.atomic import atomic_write

STACK = 4  # frames that the agent sees: one frame does not show how things move


class RandomAgent:
    """Random actions, for `evaluate_policy`."""

    def __init__(self, env: VecEnv, seed: int):
        self.space = env.action_space
        self.space.seed(seed)

    def predict(self, observation: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return np.array([self.space.sample() for _ in observation]), None


def stacked(env: VecEnv, seed: int) -> VecEnv:
    """Prepare environments, imagined or real, for a convolutional policy."""
    env.seed(seed)
    return VecTransposeImage(VecFrameStack(env, STACK))


def real_game(game: str) -> VecEnv:
    """Return the real game for evaluation, which starts the same episodes for every agent."""
    return stacked(make_game_vec_env(game, 1, max_steps=600), seed=10_000)


def train(env: VecEnv, steps: int, seed: int) -> PPO:
    """Train PPO on the environment's reward."""
    options: dict[str, Any] = {"n_steps": 128, "batch_size": 256, "n_epochs": 3, "verbose": 1}
    return PPO("CnnPolicy", env, learning_rate=5e-4, ent_coef=0.01, gamma=0.97, seed=seed, **options).learn(steps)


def agent_file(out: Path | None, name: str) -> Path | None:
    """Return where an agent is saved: beside the file of the returns, if there is to be one."""
    return out and out.with_name(f"{out.stem}-{'-'.join(re.findall(r'[a-z0-9]+', name))}.safetensors")


def trained(env: VecEnv, steps: int, seed: int, path: Path | None, about: dict[str, Any]) -> PPO:
    """Train an agent and save it, or load the one that an earlier run with the same settings has saved."""
    about = about | {"steps": steps, "seed": seed}
    if path and path.exists():
        agent: Any = load_agent(path, env)
        if agent.about != about:
            raise SystemExit(f"{path} is of other settings ({agent.about}): remove it, or give another --out")
        return agent
    agent = train(env, steps, seed)
    if path:
        save_agent(agent, path, about)
    return agent


def main(
    game: str = "Airstriker-Genesis",
    steps: int = 100_000,
    episodes: int = 30,
    seeds: tuple[int, ...] = (0,),
    num_envs: int = 16,
    real_steps: int = 0,
    checkpoint: str | None = None,
    compile: bool = False,
    threads: int = 2,
    out: Path | None = None,
) -> dict[str, list[float]]:
    """Train agents in imagination and evaluate them in the real game.

    Args:
        game: Name of a game with weights, whose emulator is installed.
        steps: Imagined steps that train each agent.
        episodes: Real episodes to evaluate on.
        seeds: Random seeds, one for each agent.
        num_envs: Environments in a batch, imagined or real.
        real_steps: Steps of the real game that train as many agents more, to compare with; 0 for none.
        checkpoint: Checkpoint folder or hub id; the game's own weights by default.
        compile: Compile the model's step, which takes a minute at first.
        threads: CPU threads.
        out: File for the returns as JSON, with the settings, the code, the machine and the minutes since its start.
            Each agent is saved beside it as soon as it is trained, and not trained again if the command is run again.
    """
    started, software = time.monotonic(), f"{software_used()}, {os.cpu_count()} cores"  # code may change in a long run
    torch.set_num_threads(threads)
    options: dict[str, Any] = {"checkpoint": checkpoint, "compile": compile, "max_episode_steps": 200}
    imagined = [stacked(ImaginedVecEnv(game, num_envs, **options), seed) for seed in seeds]
    real_game(game).close()  # one that does not start is reported before the training
    about = {"game": game, "checkpoint": checkpoint}
    agents: dict[str, PPO] = {}
    for env, seed in zip(imagined, seeds, strict=True):
        name = f"seed {seed}"
        agents[name] = trained(env, steps, seed, agent_file(out, name), about)
    for seed in seeds if real_steps else ():
        real = stacked(make_game_vec_env(game, num_envs, max_steps=options["max_episode_steps"]), seed)
        name = f"real game, seed {seed}"
        agents[name] = trained(real, real_steps, seed, agent_file(out, name), about)
        real.close()
    returns: dict[str, list[float]] = {}
    for name in (*agents, "random"):
        real = real_game(game)
        agent: Any = agents.get(name) or RandomAgent(real, seed=0)
        set_random_seed(0)  # agents sample their actions; a loaded one as one that was just trained
        got, _ = evaluate_policy(agent, real, episodes, deterministic=False, return_episode_rewards=True)
        returns[name] = [float(one) for one in got]  # type: ignore[union-attr]
        print(f"{name}: {np.mean(got):.1f} +- {np.std(got) / np.sqrt(episodes):.1f} in {episodes} real episodes")
        real.close()
    if out:
        settings = {"game": game, "steps": steps, "episodes": episodes, "seeds": seeds, "num_envs": num_envs}
        settings["real_steps"] = real_steps
        settings |= {"checkpoint": checkpoint, "compile": compile, "threads": threads}
        made = {"software": software, "minutes": round((time.monotonic() - started) / 60, 1)}
        atomic_write(out, json.dumps({"settings": settings, **made, "returns": returns}, indent=1).encode())
    return returns


if __name__ == "__main__":  # needed: the emulators' processes import this script
    tyro.cli(main)
