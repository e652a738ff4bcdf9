"""Branches of the real game beside those of its model: at many moments each action is held from the same state.

Plays the real game, and at many moments branches the emulator: each action is held for some steps from the same state,
in the game and in the model, which is shown the frames before.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange

from benchmarks.common.machine import machine_facts
from benchmarks.common.options import model_options
from benchmarks.common.results import RESULTS, write_result
from genie_gym import games
from genie_gym.collection.policies import POLICIES, Policy
from genie_gym.evaluation.report import write_grid
from genie_gym.evaluation.rollouts import rollout
from genie_gym.games.game_env import GameEnv
from genie_gym.metrics.image import Frames
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint

__all__ = ["Branches", "branch", "dream", "read_options", "run_beside_the_game", "write_branches"]

CONTEXT = 4  # real frames that the model is shown


@dataclass(frozen=True)
class Branches:
    """Moments of the real game, and what each action leads to.

    Attributes:
        prompts: uint8 (n, CONTEXT, s, s, 3).
        prev_actions: int64 (n, CONTEXT - 1).
        held: uint8 (n, a, hold, s, s, 3), the frames while each action is held.
    """

    prompts: Frames
    prev_actions: np.ndarray
    held: Frames

    @property
    def real(self) -> Frames:
        """The frame after each action was held, uint8 (n, a, s, s, 3)."""
        return self.held[:, :, -1]


def read_options(description: str | None, hold: int, seed: int) -> argparse.Namespace:
    """Read the options of a script whose actions are held for so many steps by default."""
    parser = model_options(description)
    parser.add_argument("--moments", type=int, default=60, help="moments at which the emulator is branched")
    parser.add_argument("--hold", type=int, default=hold, help="steps that each action is held")
    parser.add_argument("--policy", default="sticky", choices=sorted(POLICIES), help="policy that plays in between")
    parser.add_argument("--seed", type=int, default=seed, help="random seed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def run_beside_the_game(options: argparse.Namespace) -> tuple[Checkpoint, Branches, Frames]:
    """Return the checkpoint, branches of the real game, and the model's frames beside them, as `dream` returns them."""
    torch.set_num_threads(options.threads)
    checkpoint = load_checkpoint(resolve_checkpoint(options.checkpoint), options.device, "auto")
    known = games.GameSpec.from_dict(checkpoint.game)
    env = games.make(replace(games.find(known.name), savestates=known.savestates))
    branches = branch(env, POLICIES[options.policy](), options.moments, options.hold, options.seed)
    env.close()
    return checkpoint, branches, dream(checkpoint, branches, options.hold)


def write_branches(
    kind: str, options: argparse.Namespace, checkpoint: Checkpoint, scores: dict[str, Any], rows: list[Frames]
) -> None:
    """Write KIND-GAME.json and KIND-GAME.png, a row of frames uint8 (t, s, s, 3) each, and print the scores."""
    name = checkpoint.game["name"]
    settings = {key: getattr(options, key) for key in ("moments", "hold", "policy", "seed")}
    figures = {"game": name, "settings": settings} | scores
    write_grid(options.out / f"{kind}-{name}.png", np.stack(rows))
    print(json.dumps(figures, indent=1))
    figures["checkpoint"] = checkpoint.metadata.to_dict()
    print(f"results in {write_result(options.out / f'{kind}-{name}.json', figures, machine_facts())}")


def branch(env: GameEnv, policy: Policy, moments: int, hold: int, seed: int) -> Branches:
    """Play the real game and branch it at moments 20 to 60 steps apart."""
    rng = np.random.default_rng(seed)
    prompts: list[Frames] = []
    prev_actions: list[np.ndarray] = []
    held: list[Frames] = []
    while len(held) < moments:
        frames, actions = _start(env, policy, rng)
        for _ in range(4):
            running = _play(env, policy, frames, actions, int(rng.integers(20, 60)))
            if not running or len(held) == moments:
                break
            prompts.append(np.stack(frames[-CONTEXT:]))
            prev_actions.append(np.array(actions[1 - CONTEXT :]))
            held.append(_branch_all(env, hold))
    return Branches(np.stack(prompts), np.stack(prev_actions), np.stack(held))


def _start(env: GameEnv, policy: Policy, rng: np.random.Generator) -> tuple[list[np.ndarray], list[int]]:
    observation, _ = env.reset(seed=int(rng.integers(2**31)))
    policy.reset(len(env.game.actions), rng)  # type: ignore[attr-defined]
    return [observation], []


def _play(env: GameEnv, policy: Policy, frames: list[np.ndarray], actions: list[int], steps: int) -> bool:
    """Play on; returns whether the episode still runs."""
    for _ in range(steps):
        actions.append(policy(frames[-1]))
        observation, _, terminated, truncated, _ = env.step(np.int64(actions[-1]))
        frames.append(observation)
        if terminated or truncated:
            return False
    return True


def _branch_all(env: GameEnv, hold: int) -> np.ndarray:
    """Return the frames while each action is held: uint8 (a, hold, s, s, 3)."""
    start, held = env.snapshot(), []
    for action in range(len(env.game.actions)):
        held.append(np.stack([env.step(np.int64(action))[0] for _ in range(hold)]))
        env.restore(start)
    return np.stack(held)


def dream(checkpoint: Checkpoint, branches: Branches, hold: int) -> Frames:
    """Return the model's frames while each action is held: uint8 (n, a, hold, s, s, 3)."""
    n, a = branches.held.shape[:2]
    prompts, before = (np.repeat(x, a, 0) for x in (branches.prompts, branches.prev_actions))
    held = np.repeat(np.tile(np.arange(a), n)[:, None], hold, 1)
    frames = rollout(checkpoint, prompts, before, held, np.repeat(np.arange(n), a), checkpoint.sampling)
    return rearrange(frames[:, -hold:], "(n a) t h w c -> n a t h w c", a=a)
