"""Whether actions do what they do in the game: `python -m benchmarks.quality.steering SuperMarioBros`.

At many moments of the real game each action is held for some steps, in the game and in the model. The model obeys if
its frame is nearest to the real one of the same action (or of one that leads to the same picture), counting only pixels
in which the real branches differ. Only states in which the actions lead to different pictures count. Writes
steering-GAME.json and a picture to --out, by default benchmarks/results.
"""

import math

import numpy as np

from benchmarks.common.experiment import run_script
from benchmarks.quality.branches import Branches, read_options, run_beside_the_game, write_branches
from genie_gym.metrics.image import Frames

VISIBLE = 10  # a difference that counts, of 255
SAME = 0.05  # branches that differ by less than this share of the largest difference lead to the same picture
FEWEST_PIXELS = 8


def main() -> None:
    options = read_options(__doc__, hold=4, seed=1000)
    checkpoint, branches, frames = run_beside_the_game(options)
    dreamed = frames[:, :, -1]
    rows = [row for i in range(4) for row in (branches.real[i], dreamed[i])]
    write_branches("steering", options, checkpoint, score(branches, dreamed), rows)


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
