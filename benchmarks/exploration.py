"""What explorers find and what it teaches: `python benchmarks/exploration.py Kangaroo-Atari2600 --work FOLDER`.

Random play trains a world model. Explorers on AutoExplore's reward and on the baselines', and a random agent, are then
recorded on equally many real frames: how many places they reach, and how well that model predicts their play (harder
data teach it more: the paper's table 6). What an explorer saw on the real frames it learned from is counted too, beside
as much random play, and its reward over them drawn. The model is then refitted on all that each agent ever
played, half of the clips from what it learned from, half from the recording of the trained agent, with equally many
steps, and scored on an agent's that PPO trained on the game's own reward (table 5): no agent costs more real frames
than another. Every part is kept in --work, and the same command goes on where it stopped; several games can have the
same --work, each in a process of its own. Writes exploration-<game>.json, .md and .png to --out.
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import Arms, Figures, Stopped, command_line, made_with
from machine import RESULTS
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close
from paper_tables.lab import RANDOM_SHARE
from paper_tables.scores import SAMPLING
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genie_gym import games
from genie_gym.data import Recording
from genie_gym.errors import GenieGymError
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

TESTER = 1000  # seed of the agent whose play tests the models, and of that play: far from all others
PIECE = 20_000  # steps of that agent's training, which goes on after the last whole piece
LEARNED = 200  # added to seeds of random play that stands beside what explorers learned from
PLAYED = 100  # added to seeds of play, so that it shares no episode with the model's


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game")
    parser.add_argument("--work", type=Path, required=True, help="folder of recordings, weights and agents")
    kinds = ["autoexplore", "vae_features", "random_features"]
    parser.add_argument("--rewards", nargs="+", default=kinds, choices=[*kinds, "rnd"])
    parser.add_argument(
        "--refits",
        nargs="*",
        default=["random", "autoexplore"],
        help="plays to refit the model on; tester: other play of the very agent that tests it, the most that could be",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", type=int, default=30_000, help="frames of random play that the model is trained on")
    parser.add_argument("--fit-steps", type=int, nargs=2, default=[1600, 2000], help="of its tokenizer and dynamics")
    parser.add_argument("--steps", type=int, default=120_000, help="real steps that an explorer learns from")
    parser.add_argument(
        "--agent-steps",
        type=int,
        default=200_000,
        help="that the agent on the game's reward learns from; a game where it needs more can be begun with more",
    )
    parser.add_argument("--frames", type=int, default=10_000, help="recorded of each agent, and counted")
    parser.add_argument("--decoder-steps", type=int, default=150, help="optimiser steps of a refit")
    parser.add_argument("--dynamics-steps", type=int, default=300)
    parser.add_argument("--clips", type=int, default=96, help="pieces of play that a model is scored on")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


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
        if kind != "autoexplore":
            return []
        rewards = EventAccumulator(str(self.explorer(kind, seed)[0] / "tensorboard")).Reload().Scalars("explore/reward")
        return [(point.step, round(point.value, 4)) for point in rewards]

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

        return self.arms.arm(f"{self.game}/refits/{kind}-{seed}", make)[0] / "checkpoint"

    def score(self, name: str, checkpoint: Path, play: Path) -> Figures:
        """How well a model predicts a play, in a single pass and autoregressively, and how unsure of it it is."""

        def make(folder: Path) -> Figures:
            loaded, recording = load_weights(str(checkpoint), "auto", "auto"), Recording(play)
            episodes, clips = np.arange(len(recording)), self.options.clips
            figures = evaluate(
                loaded, recording, episodes=episodes, clips=clips, sampling=SAMPLING, long_steps=0, out=folder
            )
            return {
                "reconstruction": figures["reconstruction"]["psnr"],
                "uncertainty": uncertainty(loaded.model, recording, episodes, clips, seed=0),
                "single_pass": _short(figures["single_pass"], figures["single_pass"]["control"]),
                "autoregressive": _short(figures["prediction"], figures["control"]),
            }

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
            refits[kind] = [self.score(f"test/{kind}-{seed}", self.refitted(kind, seed), test) for seed in seeds]
        return {"plays": plays, "refits": refits, "test": tester}

    def _collect(self, policy: str, steps: int, seed: int, out: Path, random_share: float = 0.0) -> None:
        how: dict[str, Any] = {"random_share": random_share, "progress": self.arms.shown}
        if collect(self.game, steps=steps, policy=policy, seed=seed, out=out, workers=1, **how).interrupted:
            raise Stopped(f"{self.game}, play of {policy}")


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


def _short(ahead: Figures, control: Figures) -> Figures:
    """Of a prediction at t = 4: PSNR, SSIM, PSNR of moving pixels, and what wrong actions cost."""
    own = {"psnr": ahead["psnr"][3], "ssim": ahead["ssim"][3], "moving_psnr": ahead["moving_psnr"][3]}
    return own | {"delta_psnr": control["delta_psnr"]}


PLAYS = {
    "pictures while learning": lambda row: row["seen"],
    "reward at first": lambda row: _tenth(row["curve"], 0),
    "reward at last": lambda row: _tenth(row["curve"], 9),
    "pictures": lambda row: row["pictures"],
    "positions": lambda row: row["positions"],
    "PSNR t = 4, dB": lambda row: row["autoregressive"]["psnr"],
    "moving pixels, dB": lambda row: row["autoregressive"]["moving_psnr"],
    "reconstruction, dB": lambda row: row["reconstruction"],
    "uncertainty": lambda row: row["uncertainty"],
}
REFITS = {
    f"{name} t = 4, {'single pass' if way == 'single_pass' else way}": lambda row, way=way, key=key: row[way][key]
    for way in ("single_pass", "autoregressive")
    for name, key in (("PSNR", "psnr"), ("SSIM", "ssim"), ("delta-PSNR", "delta_psnr"))
}


def write(game: str, found: Figures, facts: Figures, out: Path) -> None:
    """exploration-<game>.json, .md and .png."""
    out.mkdir(parents=True, exist_ok=True)
    kept = out / f"exploration-{game}"
    kept.with_suffix(".json").write_text(json.dumps({**facts, "game": game, **found}, indent=1) + "\n")
    text = [
        f"# What explorers find in {game}, and what it teaches",
        "Different pictures on the real frames that each explorer learned from, and in as much random play. Then play "
        "of each agent on equally many real frames, and how well a world model of random play predicts it: the lower, "
        "the more it could learn from it. Mean and standard deviation over seeds.",
        table(found["plays"], PLAYS, "play"),
        "The model refitted on all that each agent played, half of the clips from the frames it learned from and half "
        "from its play afterwards, scored on play of an agent that was trained on the game's own reward.",
        table(found["refits"], REFITS, "refitted on"),
        tester(found["test"]),
        f"![places reached, error of the model, and gain of the refit]({kept.name}.png)",
        f"Made with {made_with(facts)}.",
    ]
    kept.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    plot(found, kept.with_suffix(".png"))


def tester(test: Figures) -> str:
    """How far the agent whose play is the test has come."""
    steps, first, last = test["steps"], test["returns"][0], test["returns"][-1]
    return f"That agent learned for {steps:,} steps; its mean return was {first:.1f} at first and {last:.1f} at last."


def table(kinds: dict[str, list[Figures]], columns: dict[str, Any], kind: str) -> str:
    """Markdown: a row for each kind of play, its seeds' mean and deviation in the cells."""
    lines = [f"| {kind} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, seeds in kinds.items():
        cells = [spread([read(row) for row in seeds]) for read in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float | None]) -> str:
    """Mean and standard deviation of the values that are known."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    digits = 0 if np.mean(known) > 100 else 2 if np.mean(known) > 2 else 3
    return f"{np.mean(known):.{digits}f}" + (f" ± {np.std(known, ddof=1):.{digits}f}" if len(known) > 1 else "")


def _tenth(curve: list[tuple[int, float]], which: int) -> float | None:
    """Mean of the rewards of a tenth of the steps; a short training has none of its first."""
    tenth = curve[-1][0] / 10 if curve else 0
    rewards = [reward for steps, reward in curve if which * tenth < steps <= (which + 1) * tenth]
    return float(np.mean(rewards)) if rewards else None


def plot(found: Figures, path: Path) -> None:
    """Places, PSNR on the plays, PSNR on the test's after the refits, a point for each seed; rewards while learning."""
    shown = (
        ("plays", "different pictures while learning", PLAYS["pictures while learning"]),
        ("plays", "different pictures", PLAYS["pictures"]),
        ("plays", "PSNR t = 4 of the model on the play, dB", PLAYS["PSNR t = 4, dB"]),
        ("refits", "PSNR t = 4 on the test after a refit, dB", REFITS["PSNR t = 4, autoregressive"]),
    )
    figure = Figure(figsize=(21, 2.6), layout="constrained")
    *points, curves = figure.subplots(1, len(shown) + 1)
    for (part, label, read), axes in zip(shown, points, strict=True):
        for place, (kind, seeds) in enumerate(found[part].items()):
            colour = f"C{list(found['plays']).index(kind)}" if kind in found["plays"] else "grey"
            axes.plot([read(row) for row in seeds], [place] * len(seeds), "o", color=colour, alpha=0.5)
            axes.plot(np.mean([read(row) for row in seeds]), place, "k|", markersize=18)
        axes.set_yticks(range(len(found[part])), list(found[part]))
        axes.invert_yaxis()
        axes.set(xlabel=label)
    for place, seeds in enumerate(found["plays"].values()):
        for row in seeds:
            if row["curve"]:
                curves.plot(*zip(*row["curve"], strict=True), color=f"C{place}", alpha=0.5)
    curves.set(xlabel="real steps learned from", ylabel="reward")
    figure.savefig(path, dpi=110)


def main() -> int:
    options = read_options()
    torch.set_num_threads(options.threads)
    # What may change from call to call.
    free = ("work", "out", "game", "threads", "seeds", "rewards", "refits", "agent_steps")
    settings = {name: value for name, value in vars(options).items() if name not in free}
    try:
        arms = Arms(options.work, settings)
        game = games.find(options.game).name
        found = Study(game, arms, options).found()
    except (KeyboardInterrupt, Stopped) as stopped:
        print(f"stopped ({stopped}); the same command goes on from here", file=sys.stderr)
        return 130
    except GenieGymError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    hours = round(sum(arms.used.values()) / 3600, 2)
    how = settings | {name: getattr(options, name) for name in ("agent_steps", "seeds", "rewards", "refits")}
    command = command_line("exploration.py", game, how)
    facts = {"command": command, "settings": how, "hours": hours, "made": arms.made()}
    write(game, found, facts, options.out)
    print(f"kept in {options.out / f'exploration-{game}.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
