"""The runs that all benchmarks of exploration share: a model of random episodes, explorers, refits and scores."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.common.evaluation import evaluate_model, fourth_step
from benchmarks.common.experiment import Experiment, Stopped, command_line, options_of
from benchmarks.common.results import RESULTS, Curve, Figures
from benchmarks.exploration.coverage import count_states, covered_share, replayed_positions, visited_cells
from benchmarks.paper.experiment import EPSILON
from benchmarks.paper.scores import SAMPLING
from genie_gym import games
from genie_gym.collection.agent_policy import AGENT
from genie_gym.data import EpisodeDataset
from genie_gym.exploration.monitor import VISITED_POSITIONS
from genie_gym.refitting.score import uncertainty
from genie_gym.sb3 import (
    get_reward_statistics,
    load_agent,
    make_game_vec_env,
    save_agent,
    set_reward_statistics,
)
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.presets import get_preset
from genie_gym.utils.signals import stop_signal
from genie_gym.world_model.resolve import load_checkpoint

__all__ = ["BEYOND", "ExplorationExperiment", "add_refit_options", "common_options", "main_scores", "read_curve"]

EVALUATION_SEED = 1000  # of the evaluation agent and its episodes: far from all others
SAVE_INTERVAL = 20_000  # steps of that agent's training between two saves; it is resumed from the last one
TRAINING_SEEDS = 200  # added to the seeds of random episodes that are compared with what explorers learned from
RECORDING_SEEDS = 100  # added to the seeds of other recorded episodes, so that they differ from the model's
NOT_SETTINGS = ("work", "out", "game", "threads")  # options that no figure depends on
REWARD_CURVE, CELLS_CURVE = "explore/reward", "explore/visited_cells"  # names in TensorBoard


# Explorers on AutoExplore's reward with options beyond the paper's; how often the frontier is begun at is an option.
BEYOND: dict[str, dict[str, Any]] = {
    "habituation": {"habituation": "both"},
    "frontier": {"frontier": 1.0},
    "both": {"habituation": "both", "frontier": 1.0},
    "action_information": {"uncertainty": "action_information"},
    "round_trip": {"uncertainty": "round_trip"},
}


def common_options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks of exploration."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", help="name of the game")
    parser.add_argument("--work", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--base-frames", type=int, default=30_000, help="random frames that the model is trained on")
    parser.add_argument(
        "--train-steps", type=int, nargs=2, default=[1600, 2000], help="optimiser steps of its tokenizer and dynamics"
    )
    parser.add_argument("--envs", type=int, default=8, help="copies of the game that an agent learns in")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def add_refit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of benchmarks that refit the model and score it."""
    parser.add_argument("--frames", type=int, default=10_000, help="frames recorded of each trained agent")
    parser.add_argument("--decoder-steps", type=int, default=150, help="optimiser steps of the decoder in a refit")
    parser.add_argument("--dynamics-steps", type=int, default=300, help="optimiser steps of the dynamics in a refit")
    parser.add_argument("--clips", type=int, default=96, help="clips that a model is scored on")


class ExplorationExperiment(Experiment):
    """The runs of one game.

    Policies are called "random", "evaluation" (the agent trained on the game's own reward, whose episodes are the test
    set), or by the reward of an explorer. Two more explorers learn from AutoExplore's reward: "imagined" in imagination
    alone, and "pretrained" in the real game after what "imagined" learned, in as many steps each. Those of `BEYOND`
    learn from it with options beyond the paper's.

    Args:
        options: Values of `common_options` and of the benchmark's own options.
        fixed: Names of the options that all calls with the same work folder have in common.
    """

    def __init__(self, options: argparse.Namespace, fixed: tuple[str, ...]):
        super().__init__(options.work, {name: getattr(options, name) for name in fixed})
        self.game, self.options = games.find(options.game).name, options

    def facts(self, module: str) -> Figures:
        """Return how the runs requested so far were made: "command", "settings", "hours" and "machine"."""
        settings = options_of(self.options, NOT_SETTINGS)
        command = command_line(f"exploration.{module}", [self.game, "--work", "FOLDER"], settings)
        return {"command": command, "settings": settings, "hours": self.hours, "machine": self.machine()}

    def base_dataset(self) -> Path:
        """Return the random episodes that the model is trained on."""
        return self._collect("base", "random", self.options.base_frames, seed=0)

    def base_model(self) -> Path:
        """Return the checkpoint of the world model of random episodes."""
        overrides = with_steps(*self.options.train_steps)
        return self.train(f"{self.game}/models/base", self.game, self.base_dataset(), preset_overrides=overrides)

    def explorer(self, policy: str, seed: int) -> tuple[Path, Figures]:
        """Return the folder of a trained explorer and the figures of its training."""
        o, imagined = self.options, policy == "imagined"
        options: dict[str, Any] = {"steps": o.steps, "num_envs": o.envs, "threads": o.threads, "seed": seed}
        options |= {"reward": policy, "checkpoint": str(self.base_model()), "record": not imagined}
        if imagined:
            options |= {"reward": "autoexplore", "imagined": True}
        if policy in BEYOND:
            options |= {"reward": "autoexplore"} | BEYOND[policy]
            if "frontier" in options:
                options["frontier"] = o.frontier
        if policy == "pretrained":
            options |= {"reward": "autoexplore", "init_from": str(self.explorer("imagined", seed)[0])}
        return self.explore(f"{self.game}/agents/{policy}-{seed}", self.game, **options)

    def training_dataset(self, policy: str, seed: int) -> tuple[Path, int]:
        """Return the real frames that an explorer learned from (as many of other policies), and their visited cells."""
        if policy not in ("random", "evaluation"):
            agent, figures = self.explorer(policy, seed)
            return agent.parent / "data", int(figures["visited_cells"])
        name, seed_of_episodes = f"training-{policy}-{seed}", TRAINING_SEEDS + seed
        data = self._collect(name, self.policy(policy, seed), self.options.steps, seed=seed_of_episodes)
        _, figures = self.run(f"{self.game}/coverage/{name}", lambda _: {"visited_cells": visited_cells(data)})
        return data, int(figures["visited_cells"])

    def training_positions(self, policy: str, seed: int) -> list[tuple[int, ...]]:
        """Return the distinct positions of the player in the steps that `training_dataset` counts."""
        if policy not in ("random", "evaluation"):
            return [tuple(one) for one in np.load(self.explorer(policy, seed)[0] / VISITED_POSITIONS).tolist()]
        return replayed_positions(self.training_dataset(policy, seed)[0])

    def dataset(self, policy: str, seed: int) -> tuple[Path, Figures]:
        """Return recorded episodes of a policy that has been trained, and the states visited in them."""
        epsilon = 0.0 if policy in ("random", "evaluation") else EPSILON
        chosen, seed_of_episodes = self.policy(policy, seed), RECORDING_SEEDS + seed
        return self._recorded(f"{policy}-{seed}", chosen, seed_of_episodes, epsilon)

    def test_dataset(self) -> tuple[Path, Figures]:
        """Return episodes of the evaluation agent that no model is trained on, the states visited, and its returns."""
        agent, training = self.evaluation_agent()
        data, states = self._recorded("test", str(agent), EVALUATION_SEED)
        return data, training | {name: states[name] for name in ("visited_cells", "positions")}

    def evaluation_agent(self) -> tuple[Path, Figures]:
        """Return the agent trained on the game's own reward, and the steps and returns of its training."""
        folder, training = self.run(
            f"{self.game}/agents/evaluation", lambda folder: train_evaluation_agent(self.game, self.options, folder)
        )
        return folder / AGENT, training

    def policy(self, policy: str, seed: int) -> str:
        """Return a policy as `collect` takes it."""
        if policy == "random":
            return "random"
        return str(self.evaluation_agent()[0] if policy == "evaluation" else self.explorer(policy, seed)[0])

    def coverage(self, policy: str, seed: int) -> float:
        """Return the share of the test frames whose cells the agent visited in training: those a refit can teach."""
        return covered_share([self.training_dataset(policy, seed)[0]], self.test_dataset()[0])

    def reward_curve(self, policy: str, seed: int) -> Curve:
        """Return the mean reward over the real steps; nothing unless the policy learned from AutoExplore's reward."""
        if policy not in ("autoexplore", "pretrained"):
            return []
        return read_curve(self.explorer(policy, seed)[0], REWARD_CURVE)

    def refitted(self, policy: str, seed: int) -> Path:
        """Return the checkpoint of the model finetuned on all episodes of a policy."""
        o, datasets = self.options, [self.training_dataset(policy, seed)[0], self.dataset(policy, seed)[0]]
        steps = {"decoder_steps": o.decoder_steps, "dynamics_steps": o.dynamics_steps}
        name = f"{self.game}/refits/{self._refit_name(policy, seed)}"
        return self.finetune(name, self.base_model(), datasets, seed=seed, **steps)

    def refit_score(self, policy: str, seed: int) -> Figures:
        """Return how well the model refitted on a policy predicts the test set, and how much of it was covered."""
        name = f"test/{self._refit_name(policy, seed)}"
        score = self.score(name, self.refitted(policy, seed), self.test_dataset()[0])
        return score | {"coverage": self.coverage(policy, seed)}

    def score(self, name: str, checkpoint: Path, data: Path) -> Figures:
        """Return how well a model predicts a dataset, and how uncertain it is about it."""

        def execute(folder: Path) -> Figures:
            loaded, dataset = load_checkpoint(str(checkpoint), "auto", "auto"), EpisodeDataset(data)
            episodes, clips = np.arange(len(dataset)), self.options.clips
            options: dict[str, Any] = {"clips": clips, "sampling": SAMPLING, "long_steps": 0, "out": folder}
            figures = evaluate_model(loaded, dataset, episodes=episodes, **options).to_dict()
            return main_scores(figures | {"uncertainty": uncertainty(loaded.model, dataset, episodes, clips, seed=0)})

        return self.run(f"{self.game}/scores/{name}", execute)[1]

    def _refit_name(self, policy: str, seed: int) -> str:
        """Return a name with the steps: the same work folder may hold longer refits."""
        return f"{policy}-{seed}-{self.options.decoder_steps}-{self.options.dynamics_steps}"

    def _collect(self, name: str, policy: str, steps: int, seed: int, epsilon: float = 0.0) -> Path:
        return self.collect(f"{self.game}/datasets/{name}", self.game, policy, steps=steps, seed=seed, epsilon=epsilon)

    def _recorded(self, name: str, policy: str, seed: int, epsilon: float = 0.0) -> tuple[Path, Figures]:
        frames = self.options.frames
        data = self._collect(name, policy, frames, seed, epsilon)
        return data, self.run(f"{self.game}/coverage/{name}", lambda _: count_states(data, frames))[1]


def read_curve(agent: Path, name: str) -> Curve:
    """Read a curve of an explorer's training; steps repeated after an interruption count once."""
    points = EventAccumulator(str(agent / "tensorboard")).Reload().Scalars(name)
    latest = {point.step: round(point.value, 4) for point in sorted(points, key=lambda point: point.wall_time)}
    return [[step, value] for step, value in sorted(latest.items())]


def with_steps(tokenizer: int, dynamics: int) -> dict[str, TrainerConfig]:
    """Return overrides of the preset `tiny-transformer` with other numbers of optimiser steps."""
    tiny = get_preset("tiny-transformer")
    return {
        "tokenizer_training": replace(tiny.tokenizer_training, steps=tokenizer),
        "dynamics_training": replace(tiny.dynamics_training, steps=dynamics),
    }


def train_evaluation_agent(game: str, options: argparse.Namespace, folder: Path) -> Figures:
    """Train SB3's PPO with its usual convolutions, on four stacked frames and the game's own reward.

    It takes several times as many steps a minute as the explorers' network, and learning to play well needs many.
    """
    env = VecFrameStack(VecNormalize(make_game_vec_env(game, options.envs, seed=EVALUATION_SEED), norm_obs=False), 4)
    path = folder / AGENT
    agent, returns = _resume_agent(path, env) if path.exists() else (_new_agent(env), [])
    with stop_signal() as stop:
        while agent.num_timesteps < options.agent_steps and not stop:
            agent.learn(SAVE_INTERVAL, reset_num_timesteps=False)
            returns.append(float(np.mean([episode["r"] for episode in agent.ep_info_buffer or []])))
            save_agent(agent, path, {"returns": returns, "reward_statistics": get_reward_statistics(env)})
            print(f"{game}: {agent.num_timesteps} steps, mean return {returns[-1]:.1f}", flush=True)
    env.close()
    if agent.num_timesteps < options.agent_steps:
        raise Stopped(f"{game}, evaluation agent")
    return {"steps": agent.num_timesteps, "returns": returns}


def _new_agent(env: VecEnv) -> PPO:
    how: dict[str, Any] = {"n_steps": 128, "batch_size": 256, "n_epochs": 3, "learning_rate": 5e-4, "ent_coef": 0.01}
    return PPO("CnnPolicy", env, **how, seed=EVALUATION_SEED, device="cpu")


def _resume_agent(path: Path, env: VecEnv) -> tuple[PPO, list[float]]:
    agent: Any = load_agent(path, env, device="cpu")
    agent.set_random_seed(EVALUATION_SEED + agent.num_timesteps)  # or it would repeat its first episodes
    about: Figures = agent.about
    set_reward_statistics(env, about["reward_statistics"])
    return agent, about["returns"]


def main_scores(figures: Figures) -> Figures:
    """Return the figures that the pages show, of all that an evaluation found."""
    reconstruction = figures["reconstruction"]["psnr"]
    return {"reconstruction": reconstruction, "uncertainty": figures["uncertainty"], **fourth_step(figures)}
