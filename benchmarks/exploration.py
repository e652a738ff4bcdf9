"""Explorers beside random play: `python benchmarks/exploration.py Kangaroo-Atari2600 Hero-Atari2600 --work FOLDER`.

For each game random play trains a world model. Explorers on AutoExplore's reward and on the baselines', and a random
agent, are then recorded on equally many real frames: how many places they reach, and how well that model predicts their
play (harder data teach it more: the paper's table 6). Every part is kept in --work, and the same command goes on where
it stopped. Writes exploration.json and a table exploration.md below benchmarks/results.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, machine_facts

from genie_gym import games
from genie_gym.data import Recording
from genie_gym.pipeline.collect import collect
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.explore import explore
from genie_gym.pipeline.fit_world import fit_world
from genie_gym.pipeline.places import compare
from genie_gym.world_model.weights import load_weights


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", nargs="+")
    parser.add_argument("--work", type=Path, required=True, help="folder of recordings, weights and agents")
    parser.add_argument("--rewards", nargs="+", default=["autoexplore", "vae_features", "random_features"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", type=int, default=40_000, help="frames of random play that the model is trained on")
    parser.add_argument("--minutes", type=float, default=30, help="of that training")
    parser.add_argument("--steps", type=int, default=50_000, help="real steps that an explorer learns from")
    parser.add_argument("--frames", type=int, default=10_000, help="recorded of each agent, and counted")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--random-share", type=float, default=0.0, help="of the recorded explorers' actions")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    started, found = time.time(), {}
    for name in options.games:
        game = games.find(name).name
        folder = options.work / game
        checkpoint = train_base(game, folder, options)
        plays = {f"random-{seed}": random_play(game, folder, seed, options) for seed in range(options.seeds)}
        for reward in options.rewards:
            for seed in range(options.seeds):
                plays[f"{reward}-{seed}"] = explorer_play(game, folder, checkpoint, reward, seed, options)
        found[game] = {play: score(checkpoint, place, options.frames) for play, place in plays.items()}
        print(table({game: found[game]}), flush=True)
    settings = {k: v for k, v in vars(options).items() if k not in ("work", "out")}
    kept = {"settings": settings, "hours": round((time.time() - started) / 3600, 2), "games": found}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "exploration.json"
    path.write_text(json.dumps({**kept, "machine": machine_facts()}, indent=1) + "\n")
    (options.out / "exploration.md").write_text(table(found))
    print(f"kept in {path}")


def train_base(game: str, folder: Path, options: argparse.Namespace) -> Path:
    """A world model of random play."""
    collect(game, steps=options.base, policy="random", out=folder / "base")
    weights = folder / "weights"
    if not (weights / "config.json").exists():
        fit_world(game, minutes=options.minutes, data=folder / "base", out=weights, run=folder / "run")
    return weights


def random_play(game: str, folder: Path, seed: int, options: argparse.Namespace) -> Path:
    """Random play of other seeds than the model's."""
    collect(game, steps=options.frames, policy="random", seed=100 + seed, out=folder / "play" / f"random-{seed}")
    return folder / "play" / f"random-{seed}"


def explorer_play(
    game: str, folder: Path, checkpoint: Path, reward: str, seed: int, options: argparse.Namespace
) -> Path:
    """Play of an explorer trained on a reward."""
    agent, play = folder / "agents" / f"{reward}-{seed}", folder / "play" / f"{reward}-{seed}"
    if not (agent / "found.gif").exists():  # the last thing a training writes
        how = {"envs": options.envs, "threads": options.threads}
        explore(game, steps=options.steps, reward=reward, checkpoint=checkpoint, seed=seed, out=agent, **how)
    share = options.random_share
    collect(game, steps=options.frames, policy=str(agent), random_share=share, seed=100 + seed, out=play)
    return play


def score(checkpoint: Path, play: Path, frames: int) -> dict[str, Any]:
    """Places reached, and how well the model predicts this play."""
    recording, loaded = Recording(play), load_weights(str(checkpoint), "auto", "auto")
    (reached,) = compare([play], frames)
    figures = evaluate(loaded, recording, episodes=np.arange(len(recording)), clips=96, horizon=4, long_steps=0)
    return {
        "frames": reached.frames,
        "pictures": reached.pictures,
        "positions": reached.positions,
        "psnr_t4": figures["prediction"]["psnr"][3],
        "moving_psnr_t4": figures["prediction"]["moving_psnr"][3],
        "reconstruction": figures["reconstruction"]["psnr"],
    }


def table(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Markdown: a row for each game and kind of agent, mean and standard deviation over seeds."""
    keys = ["pictures", "positions", "psnr_t4", "moving_psnr_t4", "reconstruction"]
    lines = ["| game | agent | " + " | ".join(keys) + " |", "|" + "---|" * (len(keys) + 2)]
    for game, plays in found.items():
        for kind in dict.fromkeys(name.rpartition("-")[0] for name in plays):
            rows = [row for name, row in plays.items() if name.rpartition("-")[0] == kind]
            lines.append(
                f"| {game} | {kind} | " + " | ".join(_spread([row[key] for row in rows]) for key in keys) + " |"
            )
    return "\n".join(lines) + "\n"


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return f"{np.mean(known):.2f} +- {np.std(known, ddof=1) if len(known) > 1 else 0:.2f}"


if __name__ == "__main__":
    main()
