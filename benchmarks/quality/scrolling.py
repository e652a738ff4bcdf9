"""How fast a level scrolls under held actions: `python -m benchmarks.quality.scrolling SuperMarioBros`.

At many moments of the real game each action is held for some steps, in the game and in the model. How far the camera
moved is measured alike in both. Moments count at which the real camera's motion is known throughout, which it is not
where a level ends. Writes scrolling-GAME.json and a picture to --out, by default benchmarks/results.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange, repeat

from benchmarks.common.experiment import run_script
from benchmarks.quality.branches import Branches, read_options, run_beside_the_game, write_branches
from genie_gym.games.spec import GameSpec
from genie_gym.metrics.image import Frames
from genie_gym.utils.motion import camera_and_independent_tokens

PATCH = 4  # any divisor of a frame's size: of what is measured, only the camera's motion is used
COLUMNS = 8  # of the picture


def main() -> None:
    options = read_options(__doc__, hold=20, seed=2000)
    checkpoint, branches, dreamed = run_beside_the_game(options)
    shown = np.unique(np.geomspace(1, options.hold, COLUMNS).round().astype(int)) - 1
    rows = [held[shown] for i in range(2) for pair in zip(branches.held[i], dreamed[i], strict=True) for held in pair]
    scores = score(branches, dreamed, GameSpec.from_dict(checkpoint.game).meanings)
    write_branches("scrolling", options, checkpoint, scores, rows)


def score(branches: Branches, dreamed: Frames, actions: Sequence[str]) -> dict[str, Any]:
    """Return how many pixels the camera moves to the right under each action held, in the game and in the model.

    Args:
        branches: Moments of the real game.
        dreamed: uint8 (n, a, hold, s, s, 3), the model's frames.
        actions: Names of the actions.
    """
    real, imagined = (camera_path(branches.prompts[:, -1], frames) for frames in (branches.held, dreamed))
    counts = np.isfinite(real).all((1, 2))
    ends, ours = real[counts].sum(2), np.nan_to_num(imagined[counts]).sum(2)
    error = math.sqrt(max(1, int(counts.sum())))
    table = {
        name: {
            "real_pixels": round(float(ends[:, i].mean()), 3),
            "dreamed_pixels": round(float(ours[:, i].mean()), 3),
            "standard_error_of_the_difference": round(float((ours - ends)[:, i].std(ddof=1)) / error, 3),
        }
        for i, name in enumerate(actions)
    }
    return {"moments_that_count": int(counts.sum()), "pixels_to_the_right": table}


def camera_path(last: Frames, held: Frames) -> np.ndarray:
    """Return the camera's motion to the right in each step, float (n, a, hold), not a number where it is not known.

    Args:
        last: uint8 (n, s, s, 3), the frame before.
        held: uint8 (n, a, hold, s, s, 3), the frames since.
    """
    first = repeat(last, "n h w c -> n a 1 h w c", a=held.shape[1])
    clips = torch.from_numpy(rearrange(np.concatenate([first, held], 2), "n a t h w c -> (n a) t h w c"))
    motion = torch.cat([camera_and_independent_tokens(part, PATCH)[0] for part in clips.split(16)])[:, 1:, 1]
    return rearrange(motion, "(n a) t -> n a t", n=len(held)).numpy()


if __name__ == "__main__":
    run_script(main)
