"""Records play for a world of Super Mario Bros.: runs to the right from all savestates, and jumps over what stops it.

Random play never leaves the first screens, and play that only prefers RIGHT stands at the first wall for most of its
time: in a world learned from it, Mario stands too. This policy runs and jumps for random times, steps back and jumps
where the picture no longer moves, and tries other buttons in between. Sticky play of all actions alike is recorded
beside it.

pip install --no-deps gym-super-mario-bros && genie-gym roms import --nes
python training/collect_super_mario_bros.py
genie-gym train SuperMarioBros --minutes 60
"""

from pathlib import Path

import numpy as np
import tyro

from genie_gym import collect, games

GAME = "SuperMarioBros-Nes"
STILL = 2.0  # mean change of a pixel, of 255, that is only a character's and not the camera's
PATIENCE = 6  # steps without the camera after which it tries something else


class Runner:
    """Runs and jumps to the right, with other actions in between; how many of them differs between episodes."""

    name = "runner"

    def __init__(self) -> None:
        meanings = [action.meaning for action in games.find(GAME).actions]
        names = ("LEFT", "RIGHT", "RIGHT+SECONDARY", "RIGHT+PRIMARY", "RIGHT+PRIMARY+SECONDARY")
        self.left, self.walk, self.run, self.jump, self.leap = (meanings.index(name) for name in names)

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        """Begin an episode."""
        self._num_actions, self._rng = num_actions, rng
        self._plan: list[int] = []
        self._last: np.ndarray | None = None
        self._still_for = 0
        self._others, self._runs = float(rng.choice([0.05, 0.15, 0.4])), float(rng.choice([0.3, 0.7, 1.0]))

    def __call__(self, frame: np.ndarray) -> int:
        """Return the action to take."""
        still = self._last is not None and np.abs(frame.astype(int) - self._last).mean() < STILL
        self._last, self._still_for = frame, self._still_for + 1 if still else 0
        if self._still_for >= PATIENCE:
            self._still_for, self._plan = 0, self._over_a_wall()
        if not self._plan:
            self._plan = self._next_plan()
        return self._plan.pop(0)

    def _over_a_wall(self) -> list[int]:
        rng = self._rng
        jump = self.leap if rng.random() < self._runs else self.jump
        return [self.left] * int(rng.choice([0, 0, 4, 8])) + [self.walk] + [jump] * int(rng.integers(6, 14))

    def _next_plan(self) -> list[int]:
        rng = self._rng
        if rng.random() < self._others:
            return [int(rng.integers(self._num_actions))] * int(rng.geometric(0.25))
        ahead, jump = (self.run, self.leap) if rng.random() < self._runs else (self.walk, self.jump)
        return [ahead] * int(rng.integers(1, 14)) + [jump] * int(rng.integers(1, 12))


def main(steps: int = 120_000, seed: int = 1, out: Path | None = None) -> None:
    """Record play. Resumable: rerun the same command.

    Args:
        steps: Steps in all, three quarters of them of the policy that runs, one quarter sticky.
        seed: Random seed.
        out: Folder of the dataset; the game's own by default.
    """
    for policy, share in ((Runner(), 3 / 4), ("sticky", 1 / 4)):
        print(collect(GAME, policy=policy, steps=int(share * steps), seed=seed, max_steps=500, workers=1, out=out))


if __name__ == "__main__":
    tyro.cli(main)
