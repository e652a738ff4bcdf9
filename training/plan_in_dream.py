"""Plans in the dream and acts in the real game: random shooting or the cross-entropy method, beside random actions.

python training/plan_in_dream.py --game Airstriker-Genesis --planner cem --seeds 0 1 2

Before each real step the dream begins from the last real frames, and `look_ahead` says what plans would bring.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro

from genie_gym import WorldModelEnv, games
from genie_gym.training.records import software_used
from genie_gym.utils.atomic import atomic_write

CONTEXT = 4  # real frames that the dream begins from: one does not show how things move


@dataclass(frozen=True)
class Search:
    """How plans are searched for.

    Attributes:
        plans: Plans weighed at once.
        steps: Steps of each plan.
        taken: Steps of the best plan that are taken before the next search.
        discount: Worth of a reward one step later.
        rounds: Rounds of the cross-entropy method.
        elite: Best plans of a round, which the next one resembles.
        smoothing: Share of the former probabilities that a round keeps.
    """

    plans: int = 32
    steps: int = 8
    taken: int = 2
    discount: float = 0.97
    rounds: int = 3
    elite: int = 6
    smoothing: float = 0.2


def returns_of(dream: WorldModelEnv, plans: np.ndarray, discount: float) -> np.ndarray:
    """Return the discounted return, float (k,), of plans int64 (k, h), each step weighed by the chance to get there."""
    seen = dream.look_ahead(plans)
    survived = np.cumprod(1 - seen.termination_prob, axis=1)
    reached = np.concatenate([np.ones((len(plans), 1)), survived[:, :-1]], axis=1)
    return (seen.rewards * reached * discount ** np.arange(plans.shape[1])).sum(1)


class Planner:
    """Begins the dream anew from what the real game shows, and searches there for the next action.

    Args:
        dream: The dream.
        search: How plans are searched for.
        seed: Seed of the dream and of the search.
    """

    def __init__(self, dream: WorldModelEnv, search: Search, seed: int):
        self.dream, self.search, self.rng = dream, search, np.random.default_rng(seed)
        self.actions = len(dream.get_action_meanings())
        self.pending: list[int] = []
        dream.reset(seed=seed)

    def __call__(self, frames: np.ndarray, actions: np.ndarray) -> int:
        """Return an action, given the last frames uint8 (c, s, s, 3) and the actions between them int64 (c - 1,)."""
        if not self.pending:
            self.dream.reset(options={"prompt": frames, "prompt_actions": actions})
            self.pending = self.best_plan()[: self.search.taken].tolist()
        return self.pending.pop(0)

    def best_plan(self) -> np.ndarray:
        """Return the best plan found from where the dream is, int64 (h,)."""
        raise NotImplementedError


class RandomShooting(Planner):
    """Draws plans evenly."""

    def best_plan(self) -> np.ndarray:
        plans = self.rng.integers(self.actions, size=(self.search.plans, self.search.steps))
        return plans[returns_of(self.dream, plans, self.search.discount).argmax()]


class CrossEntropy(Planner):
    """Draws plans from probabilities of each action at each step, which the best plans of each round sharpen.

    What was found is where the next search begins, as many steps later as were taken.
    """

    def __init__(self, dream: WorldModelEnv, search: Search, seed: int):
        super().__init__(dream, search, seed)
        self.odds = np.full((search.steps, self.actions), 1 / self.actions)

    def best_plan(self) -> np.ndarray:
        best, most = np.zeros(0, np.int64), -np.inf
        for _ in range(self.search.rounds):
            plans = self.draw()
            returns = returns_of(self.dream, plans, self.search.discount)
            if returns.max() > most:
                best, most = plans[returns.argmax()], returns.max()
            elite = plans[np.argsort(-returns)[: self.search.elite]]
            chosen = (elite[..., None] == np.arange(self.actions)).mean(0)  # (h, a)
            self.odds = self.search.smoothing * self.odds + (1 - self.search.smoothing) * chosen
        even = np.full((self.search.taken, self.actions), 1 / self.actions)
        later = np.concatenate([self.odds, even])[self.search.taken :]
        self.odds = (later + even[0]) / 2  # the dream is not the game: stay open
        return best

    def draw(self) -> np.ndarray:
        """Return plans int64 (k, h), drawn by inverting the cumulative probabilities of each step."""
        below = self.odds.cumsum(1)[:, :-1]  # (h, a - 1)
        luck = self.rng.random((self.search.plans, self.search.steps, 1))
        return (luck >= below).sum(-1)


PLANNERS = {"shooting": RandomShooting, "cem": CrossEntropy}


def play(game: games.GameEnv, seed: int, steps: int, choose: Callable[[np.ndarray, np.ndarray], int]) -> float:
    """Return the return of an episode in the real game.

    Args:
        game: The game.
        seed: Seed of the episode.
        steps: Steps at most.
        choose: Returns an action, see `Planner.__call__`.
    """
    frame, _ = game.reset(seed=seed)
    frames, actions, total = [frame], list[int](), 0.0
    for _ in range(steps):
        action = choose(np.stack(frames[-CONTEXT:]), np.array(actions[1 - CONTEXT :], np.int64))
        frame, reward, terminated, truncated, _ = game.step(action)
        frames.append(frame)
        actions.append(action)
        total += float(reward)
        if terminated or truncated:
            break
    return total


def main(
    game: str = "Airstriker-Genesis",
    planner: Literal["shooting", "cem"] = "cem",
    seeds: tuple[int, ...] = (0,),
    steps: int = 200,
    search: Search = Search(),
    checkpoint: str | None = None,
    threads: int = 2,
    out: Path | None = None,
) -> dict[str, list[float]]:
    """Play an episode a seed, planning and at random.

    Args:
        game: Name of a game with weights, whose emulator is installed.
        planner: shooting or cem.
        seeds: Random seeds, one for each episode.
        steps: Steps of an episode at most.
        search: How plans are searched for.
        checkpoint: Checkpoint folder or hub id; the game's own weights by default.
        threads: CPU threads.
        out: File for the returns as JSON, with the settings, the code, the machine and the minutes.
    """
    started, software = time.monotonic(), f"{software_used()}, {os.cpu_count()} cores"
    torch.set_num_threads(threads)
    dream = WorldModelEnv(game, checkpoint, terminate=False)
    real = games.make(game)
    returns: dict[str, list[float]] = {planner: [], "random": []}
    for seed in seeds:
        chance = np.random.default_rng(seed)
        ways: dict[str, Callable[[np.ndarray, np.ndarray], int]] = {
            planner: PLANNERS[planner](dream, search, seed),
            "random": lambda *_, chance=chance: int(chance.integers(real.action_space.n)),  # type: ignore
        }
        for name, choose in ways.items():
            returns[name].append(play(real, seed, steps, choose))
        print(f"seed {seed}: {', '.join(f'{name} {got[-1]:.1f}' for name, got in returns.items())}", flush=True)
    real.close()
    if out:
        settings = {"game": game, "planner": planner, "seeds": seeds, "steps": steps, "search": asdict(search)}
        settings |= {"checkpoint": checkpoint, "threads": threads}
        made = {"software": software, "minutes": round((time.monotonic() - started) / 60, 1)}
        atomic_write(out, json.dumps({"settings": settings, **made, "returns": returns}, indent=1).encode())
    return returns


if __name__ == "__main__":
    tyro.cli(main)
