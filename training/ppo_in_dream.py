"""Trains PPO inside a dream alone, then scores it in the real game beside a random agent.

python training/ppo_in_dream.py --game Airstriker-Genesis --steps 100000 --seeds 0 1 2
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecTransposeImage

from genie_gym import games
from genie_gym.files import write_aside
from genie_gym.pipeline.provenance import code_version
from genie_gym.sb3 import DreamVecEnv

STACK = 4  # frames the agent sees: one frame does not show which way things move


def dream(game: str, count: int, length: int, seed: int, **options: object) -> VecEnv:
    """A batch of dreams, prepared for a convolutional policy."""
    env = DreamVecEnv(game, count, max_episode_steps=length, **options)
    env.seed(seed)
    return VecTransposeImage(VecFrameStack(env, STACK))


def train(game: str, steps: int, seed: int, envs: int = 16, length: int = 200, **options: object) -> PPO:
    """PPO on the dream's reward."""
    model = PPO(
        "CnnPolicy",
        dream(game, envs, length, seed, **options),
        n_steps=128,
        batch_size=256,
        n_epochs=3,
        learning_rate=5e-4,
        ent_coef=0.01,
        gamma=0.97,
        seed=seed,
        verbose=1,
        policy_kwargs={"normalize_images": True},
    )
    return model.learn(steps)


def play(game: str, agent: PPO | None, episodes: int, seed: int, length: int = 600) -> list[float]:
    """Returns of real episodes; agent None plays at random."""
    env = games.make(game, max_steps=length)
    rng, returns = np.random.default_rng(seed), []
    for episode in range(episodes):
        frame, _ = env.reset(seed=seed + episode)
        seen, total, over = np.zeros((*frame.shape[:2], 3 * STACK), np.uint8), 0.0, False
        while not over:
            seen = np.concatenate([seen[..., 3:], frame], -1)  # as VecFrameStack: newest last, black before the start
            if agent is None:
                action = int(rng.integers(env.action_space.n))
            else:
                action = int(agent.predict(seen.transpose(2, 0, 1))[0])
            frame, reward, ended, truncated, _ = env.step(action)
            total, over = total + float(reward), ended or truncated
        returns.append(total)
    env.close()
    return returns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Airstriker-Genesis")
    parser.add_argument("--steps", type=int, default=100_000, help="steps in the dream")
    parser.add_argument("--episodes", type=int, default=30, help="real episodes to score on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="an agent for each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="compile the step: worth its minute in long runs")
    parser.add_argument("--checkpoint", help="folder or hub id; the game's own weights by default")
    parser.add_argument("--agents", type=Path, help="folder to keep the agents in")
    parser.add_argument("--out", type=Path, help="writes the returns as JSON")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    started, returns, code = time.monotonic(), {}, code_version()  # the code may change during a long run
    for seed in given.seeds:
        agent = train(given.game, given.steps, seed, compile=given.compile, checkpoint=given.checkpoint)
        if given.agents:
            agent.save(given.agents / f"ppo-in-dream-{seed}")
        torch.manual_seed(seed)
        returns[f"trained in the dream, seed {seed}"] = play(given.game, agent, given.episodes, seed=10_000)
    returns["random"] = play(given.game, None, given.episodes, seed=10_000)
    for name, values in returns.items():
        error = np.std(values) / np.sqrt(len(values))
        print(f"{name}: {np.mean(values):.1f} +- {error:.1f} in {len(values)} real episodes")
    if given.out:
        settings = {name: value for name, value in vars(given).items() if name not in ("agents", "out")}
        made: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
        made |= {"code": code, "torch": torch.__version__, "minutes": (time.monotonic() - started) / 60}
        written = json.dumps({"settings": settings, **made, "returns": returns}, indent=1) + "\n"
        write_aside(given.out, written.encode())


if __name__ == "__main__":
    main()
