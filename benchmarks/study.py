"""The arms of one game's exploration: a model of random play, explorers, their plays, refits on them, and scores."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import Arms, Figures, Stopped
from coverage import covered
from machine import RESULTS
from paper_tables.lab import RANDOM_SHARE
from paper_tables.scores import SAMPLING
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genie_gym.data import Recording
from genie_gym.fit import FitConfig, preset
from genie_gym.pipeline.collect import collect
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.explore import explore
from genie_gym.pipeline.fit_world import fit_world
from genie_gym.pipeline.places import Places, compare
from genie_gym.pipeline.refit_score import uncertainty
from genie_gym.pipeline.tune import TuneConfig, tune
from genie_gym.sb3 import get_scale, make_game_vec_env, save_agent, set_scale
from genie_gym.stopping import stop_signal
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import load_weights

__all__ = ["Study", "add_refit_options", "scalars", "scores", "study_options"]

TESTER = 1000  # seed of the agent whose play tests the models, and of that play: far from all others
PIECE = 20_000  # steps of that agent's training, which goes on after the last whole piece
LEARNED = 200  # added to seeds of random play that stands beside what explorers learned from
PLAYED = 100  # added to seeds of play, so that it shares no episode with the model's


def study_options(about: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script on explorers has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game")
    parser.add_argument("--work", type=Path, required=True, help="folder of recordings, weights and agents")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", type=int, default=30_000, help="frames of random play that the model is trained on")
    parser.add_argument("--fit-steps", type=int, nargs=2, default=[1600, 2000], help="of its tokenizer and dynamics")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def add_refit_options(parser: argparse.ArgumentParser) -> None:
    """Those of scripts that refit the model and score it."""
    parser.add_argument("--frames", type=int, default=10_000, help="recorded of each agent that has learned")
    parser.add_argument("--decoder-steps", type=int, default=150, help="optimiser steps of a refit")
    parser.add_argument("--dynamics-steps", type=int, default=300)
    parser.add_argument("--clips", type=int, default=96, help="pieces of play that a model is scored on")


@dataclass
class Study:
    """One game's arms."""

    game: str
    arms: Arms
    options: argparse.Namespace

    def model(self) -> Path:
        """A world model of random play; the folder of its recording and checkpoint."""

        def make(folder: Path) -> Figures:
            self._collect("random", self.options.base, 0, folder / "data")
            out = folder / "checkpoint"
            if not (out / "config.json").exists():
                fitting = {"changes": shorter(*self.options.fit_steps), "data": folder / "data", "run": folder / "run"}
                if not fit_world(self.game, out=out, **fitting).finished:
                    raise Stopped(f"{self.game}, model")
            return {}

        return self.arms.arm(f"{self.game}/model", make)[0]

    def explorer(self, reward: str, seed: int) -> tuple[Path, Figures]:
        """An explorer trained on a reward; "dreamed" on AutoExplore's in dreams alone, as many steps, and "begun" on
        the same in the game, with what the dreamed one learned. Its folder, what it found."""

        checkpoint = self.model() / "checkpoint"
        first = self.explorer("dreamed", seed)[0] if reward == "begun" else None

        def make(folder: Path) -> Figures:
            how = {"envs": self.options.envs, "threads": self.options.threads, "progress": self.arms.shown}
            options = {"steps": self.options.steps, "reward": reward, "checkpoint": checkpoint, "seed": seed}
            if reward in ("dreamed", "begun"):
                options |= {"reward": "autoexplore", "begin_with": first}
            options |= {"dream": True} if reward == "dreamed" else {"record": folder / "data"}
            report = explore(self.game, out=folder / "agent", **options, **how)
            if not report.finished:
                raise Stopped(f"{self.game}, {reward}-{seed}")
            return {"steps": report.steps, "minutes": report.seconds / 60, **report.figures}

        folder, figures = self.arms.arm(f"{self.game}/agents/{reward}-{seed}", make)
        return folder / "agent", figures

    def learning_play(self, kind: str, seed: int) -> tuple[Path, int]:
        """Recording of all real frames that an explorer learned from, or of as much random play; its pictures."""
        if kind not in ("random", "tester"):
            agent, figures = self.explorer(kind, seed)
            return agent.parent / "data", int(figures["places"])

        policy = self.policy(kind, seed)

        def make(folder: Path) -> Figures:
            self._collect(policy, self.options.steps, LEARNED + seed, folder / "data")
            places, recording = Places(), Recording(folder / "data")
            for index in range(len(recording)):
                places.add(recording[index].frames)
            return {"places": len(places)}

        folder, figures = self.arms.arm(f"{self.game}/learning/{kind}-{seed}", make)
        return folder / "data", int(figures["places"])

    def play(self, kind: str, seed: int) -> tuple[Path, Figures]:
        """Recorded play: random, or of the explorer on the reward `kind`; and places reached in it."""

        policy, share = self.policy(kind, seed), 0.0 if kind in ("random", "tester") else RANDOM_SHARE

        def make(folder: Path) -> Figures:
            self._collect(policy, self.options.frames, PLAYED + seed, folder / "data", share)
            (reached,) = compare([folder / "data"], self.options.frames)
            return {"frames": reached.frames, "pictures": reached.pictures, "positions": reached.positions}

        folder, figures = self.arms.arm(f"{self.game}/plays/{kind}-{seed}", make)
        return folder / "data", figures

    def covered(self, kind: str, seed: int) -> float:
        """The share of the test's frames that look like one that the agent learned from: a refit can teach these."""
        return covered([self.learning_play(kind, seed)[0]], self.test()[0])

    def policy(self, kind: str, seed: int) -> str:
        """Who plays: "random", "tester", the agent on the game's own reward, or an explorer on the reward `kind`."""
        if kind == "random":
            return "random"
        return str(self.tester()[0] if kind == "tester" else self.explorer(kind, seed)[0])

    def tester(self) -> tuple[Path, Figures]:
        """The agent on the game's own reward whose play tests the models; and the returns of its training."""
        folder, learned = self.arms.arm(
            f"{self.game}/agents/game", lambda folder: train_tester(self.game, self.options, folder)
        )
        return folder / "agent.zip", learned

    def test(self) -> tuple[Path, Figures]:
        """Play of the tester that no model is trained on, and what is known of the tester."""
        agent, learned = self.tester()

        def make(folder: Path) -> Figures:
            self._collect(str(agent), self.options.frames, TESTER, folder / "data")
            (reached,) = compare([folder / "data"], self.options.frames)
            return learned | {"pictures": reached.pictures, "positions": reached.positions}

        folder, figures = self.arms.arm(f"{self.game}/plays/test", make)
        return folder / "data", figures

    def curve(self, kind: str, seed: int) -> list[tuple[int, float]]:
        """Real steps that an explorer on AutoExplore's reward had learned from, and the mean reward of the last ones;
        nothing of other agents."""
        if kind not in ("autoexplore", "begun"):
            return []
        return scalars(self.explorer(kind, seed)[0], "explore/reward")

    def refitted(self, kind: str, seed: int) -> Path:
        """The model tuned on all that an agent played; its checkpoint."""
        o, base = self.options, self.model() / "checkpoint"
        plays = [self.learning_play(kind, seed)[0], self.play(kind, seed)[0]]

        def make(folder: Path) -> Figures:
            config = TuneConfig(o.decoder_steps, o.dynamics_steps, seed=seed)
            report = tune(Checkpoint.load(base), [Recording(play) for play in plays], config, folder)
            if report.checkpoint is None or report.dynamics is None:
                raise Stopped(f"{self.game}, refit on {kind}-{seed}")
            report.checkpoint.save(folder / "checkpoint")
            return {"decoder": report.decoder.metrics, "dynamics": report.dynamics.metrics}

        return self.arms.arm(f"{self.game}/refits/{self._refit(kind, seed)}", make)[0] / "checkpoint"

    def refit_score(self, kind: str, seed: int) -> Figures:
        """How well the model so tuned predicts the play of the test, and how much of it the agent had covered."""
        score = self.score(f"test/{self._refit(kind, seed)}", self.refitted(kind, seed), self.test()[0])
        return score | {"covered": self.covered(kind, seed)}

    def _refit(self, kind: str, seed: int) -> str:
        """A refit's name: there may be longer ones in the same folder."""
        return f"{kind}-{seed}-{self.options.decoder_steps}-{self.options.dynamics_steps}"

    def score(self, name: str, checkpoint: Path, play: Path) -> Figures:
        """How well a model predicts a play, in a single pass and autoregressively, and how unsure of it it is."""

        def make(folder: Path) -> Figures:
            loaded, recording = load_weights(str(checkpoint), "auto", "auto"), Recording(play)
            episodes, clips = np.arange(len(recording)), self.options.clips
            figures = evaluate(
                loaded, recording, episodes=episodes, clips=clips, sampling=SAMPLING, long_steps=0, out=folder
            )
            return scores(figures | {"uncertainty": uncertainty(loaded.model, recording, episodes, clips, seed=0)})

        return self.arms.arm(f"{self.game}/scores/{name}", make)[1]

    def found(self) -> Figures:
        """Everything about the game."""
        base, (test, tester), seeds = self.model() / "checkpoint", self.test(), range(self.options.seeds)
        plays, refits = {}, {"not refitted": [self.score("test/not-refitted", base, test)]}
        for kind in ("random", *self.options.rewards):
            played = [self.play(kind, seed) for seed in seeds]
            scores = [self.score(f"base/{kind}-{seed}", base, play) for seed, (play, _) in enumerate(played)]
            learned = [{"seen": self.learning_play(kind, seed)[1], "curve": self.curve(kind, seed)} for seed in seeds]
            plays[kind] = [a | b | c for a, (_, b), c in zip(learned, played, scores, strict=True)]
        for kind in self.options.refits:
            refits[kind] = [self.refit_score(kind, seed) for seed in seeds]
        return {"plays": plays, "refits": refits, "test": tester}

    def _collect(self, policy: str, steps: int, seed: int, out: Path, random_share: float = 0.0) -> None:
        how: dict[str, Any] = {"random_share": random_share, "progress": self.arms.shown}
        if collect(self.game, steps=steps, policy=policy, seed=seed, out=out, workers=1, **how).interrupted:
            raise Stopped(f"{self.game}, play of {policy}")


def scalars(agent: Path, name: str) -> list[tuple[int, float]]:
    """A curve of an explorer's training: steps, values. What it did again after an interruption counts once."""
    points = EventAccumulator(str(agent / "tensorboard")).Reload().Scalars(name)
    return sorted(
        {point.step: round(point.value, 4) for point in sorted(points, key=lambda one: one.wall_time)}.items()
    )


def shorter(tokenizer: int, dynamics: int) -> dict[str, FitConfig]:
    """The preset's recipes with other numbers of steps."""
    tiny = preset("tiny")
    return {
        "fit_tokenizer": replace(tiny.fit_tokenizer, steps=tokenizer),
        "fit_dynamics": replace(tiny.fit_dynamics, steps=dynamics),
    }


def train_tester(game: str, options: argparse.Namespace, folder: Path) -> Figures:
    """Stable-Baselines3's PPO with its usual network for pictures, four of them stacked, on the game's own reward.

    It takes several times as many steps a minute as the explorers' network, and play far from random needs many steps.
    """
    env = VecFrameStack(VecNormalize(make_game_vec_env(game, options.envs, seed=TESTER), norm_obs=False), 4)
    saved, returns = folder / "agent.zip", []
    if saved.exists():
        agent = PPO.load(saved, env=env, device="cpu")
        agent.set_random_seed(TESTER + agent.num_timesteps)  # or it would play its first games again
        set_scale(env, agent.about["scale"])  # type: ignore[attr-defined]
        returns = agent.about["returns"]  # type: ignore[attr-defined]
    else:
        how: dict[str, Any] = {"n_steps": 128, "batch_size": 256, "n_epochs": 3, "learning_rate": 5e-4}
        agent = PPO("CnnPolicy", env, **how, ent_coef=0.01, seed=TESTER, device="cpu")
    with stop_signal() as stop:
        while agent.num_timesteps < options.agent_steps and not stop:
            agent.learn(PIECE, reset_num_timesteps=False)
            returns.append(float(np.mean([end["r"] for end in agent.ep_info_buffer or []])))
            save_agent(agent, saved, {"returns": returns, "scale": get_scale(env)})
            print(f"{game}: {agent.num_timesteps} steps, mean return {returns[-1]:.1f}", flush=True)
    env.close()
    if agent.num_timesteps < options.agent_steps:
        raise Stopped(f"{game}, agent on its reward")
    return {"steps": agent.num_timesteps, "returns": returns}


def scores(figures: Figures) -> Figures:
    """Of all that `refit_score.score_models` says of a model what the pages show."""
    return {
        "reconstruction": figures["reconstruction"]["psnr"],
        "uncertainty": figures["uncertainty"],
        "single_pass": _short(figures["single_pass"], figures["single_pass"]["control"]),
        "autoregressive": _short(figures["prediction"], figures["control"]),
    }


def _short(ahead: Figures, control: Figures) -> Figures:
    """Of a prediction at t = 4: PSNR, SSIM, PSNR of moving pixels, and what wrong actions cost."""
    own = {"psnr": ahead["psnr"][3], "ssim": ahead["ssim"][3], "moving_psnr": ahead["moving_psnr"][3]}
    return own | {"delta_psnr": control["delta_psnr"]}
