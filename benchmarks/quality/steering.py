"""Whether actions do what they do in the game: `python -m benchmarks.quality.steering SuperMarioBros`.

Plays the real game, and at many moments branches the emulator: each action is held for some steps from the same state,
in the game and in the model, which is shown the frames before. The model obeys if its frame is nearest to the real one
of the same action (or of one that leads to the same picture), counting only pixels in which the real branches differ.
Only states in which the actions lead to different pictures count. Writes steering-GAME.json and a picture to --out, by
default benchmarks/results.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange

from benchmarks.common.experiment import run_script
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

CONTEXT = 4  # real frames that the model is shown
VISIBLE = 10  # a difference that counts, of 255
SAME = 0.05  # branches that differ by less than this share of the largest difference lead to the same picture
FEWEST_PIXELS = 8


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


def read_options() -> argparse.Namespace:
    parser = model_options(__doc__)
    parser.add_argument("--moments", type=int, default=60, help="moments at which the emulator is branched")
    parser.add_argument("--hold", type=int, default=4, help="steps that each action is held")
    parser.add_argument("--policy", default="sticky", choices=sorted(POLICIES), help="policy that plays in between")
    parser.add_argument("--seed", type=int, default=1000, help="random seed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    checkpoint = load_checkpoint(resolve_checkpoint(options.checkpoint), options.device, "auto")
    name = checkpoint.game["name"]
    env = games.make(name)
    branches = branch(env, POLICIES[options.policy](), options.moments, options.hold, options.seed)
    env.close()
    dreamed = dream(checkpoint, branches, options.hold)[:, :, -1]
    chosen = {key: getattr(options, key) for key in ("moments", "hold", "policy", "seed")}
    figures = {"game": name, "settings": chosen, "checkpoint": checkpoint.metadata.to_dict()}
    figures |= score(branches, dreamed)
    rows = [frames for i in range(4) for frames in (branches.real[i], dreamed[i])]
    write_grid(options.out / f"steering-{name}.png", np.stack(rows))
    print(json.dumps({key: value for key, value in figures.items() if key != "checkpoint"}, indent=1))
    print(f"results in {write_result(options.out / f'steering-{name}.json', figures, machine)}")


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


def score(branches: Branches, dreamed: Frames) -> dict[str, float | int]:
    """Return how often the model's frame is nearest to the real one of its action, with its standard error over states.

    Beside it stand the chance of being right without looking, and the share that repeating the last frame would have.
    """
    shares, chances, repeated = [], [], []
    for real, imagined, prompt in zip(branches.real, dreamed, branches.prompts, strict=True):
        real, imagined, last = (x.astype(np.float64) for x in (real, imagined, prompt[-1]))
        differing = (real.max(0) - real.min(0)).max(-1) > VISIBLE
        if differing.sum() < FEWEST_PIXELS:
            continue
        apart = _errors(real[:, differing], real[:, differing])
        same = apart <= SAME * apart.max()
        if same.all():
            continue
        nearest = _errors(imagined[:, differing], real[:, differing]).argmin(1)
        shares.append(same[np.arange(len(real)), nearest].mean())
        chances.append(same.mean())
        repeated.append(same[:, _errors(last[None, differing], real[:, differing]).argmin()].mean())
    count = len(shares)
    error = float(np.std(shares, ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    means = {"right": shares, "chance": chances, "repeating": repeated}
    return {"moments_that_count": count, "standard_error": round(error, 4)} | {
        name: round(float(np.mean(values)), 4) if values else math.nan for name, values in means.items()
    }


def _errors(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the mean squared error between each of (m, p, 3) and each of (n, p, 3): (m, n)."""
    return ((some[:, None] - others[None]) ** 2).mean((2, 3))


if __name__ == "__main__":
    run_script(main)
