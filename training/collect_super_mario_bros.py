"""Records play for a world of Super Mario Bros.: mostly to the right, from all savestates, with jumps and runs.

Random play never leaves the first screens. This policy holds each action for a while, and draws RIGHT, alone and with
jump and run, more often than the others; sticky play of all actions alike is recorded beside it.

pip install --no-deps gym-super-mario-bros && genie-gym roms import --nes
python training/collect_super_mario_bros.py
genie-gym train SuperMarioBros --preset conv --minutes 60
"""

from pathlib import Path

import numpy as np
import tyro

from genie_gym import collect

GAME = "SuperMarioBros-Nes"
WEIGHTS = {
    "NOOP": 6, "RIGHT": 16, "LEFT": 5, "UP": 1, "DOWN": 3, "PRIMARY": 4, "RIGHT+PRIMARY": 22, "LEFT+PRIMARY": 3,
    "SECONDARY": 2, "RIGHT+SECONDARY": 16, "RIGHT+PRIMARY+SECONDARY": 22,
}  # fmt: skip
MEAN_STEPS = (4.0, 8.0, 14.0)  # that an action is held; one of them for each episode


class RightBiased:
    """Holds actions for a geometric number of steps, mostly those to the right."""

    name = "right"

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        """Begin an episode."""
        self._rng, self._steps_left, self._mean = rng, 0, float(rng.choice(MEAN_STEPS))

    def __call__(self, frame: np.ndarray) -> int:
        """Return the action to take."""
        if not self._steps_left:
            shares = np.array(list(WEIGHTS.values()), float)
            self._action = int(self._rng.choice(len(shares), p=shares / shares.sum()))
            self._steps_left = int(self._rng.geometric(1 / self._mean))
        self._steps_left -= 1
        return self._action


def main(steps: int = 90_000, seed: int = 1, out: Path | None = None) -> None:
    """Record play. Resumable: rerun the same command.

    Args:
        steps: Steps in all, two thirds of them mostly to the right, one third sticky.
        seed: Random seed.
        out: Folder of the dataset; the game's own by default.
    """
    for policy, share in ((RightBiased(), 2 / 3), ("sticky", 1 / 3)):
        print(collect(GAME, policy=policy, steps=int(share * steps), seed=seed, max_steps=600, workers=1, out=out))


if __name__ == "__main__":
    tyro.cli(main)
