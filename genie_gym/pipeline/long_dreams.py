"""Dreams of a thousand steps: does the picture still show the game, and the player in it?

Shapes: b dreams, k steps, m real frames, s side of a frame in pixels.
"""

from pathlib import Path
from typing import Any

import numpy as np
from einops import reduce
from rich.console import Console
from rich.progress import track

from genie_gym.data import Clips, Recording
from genie_gym.metrics import Frames, frechet_distance
from genie_gym.pipeline.dreaming import dream_steps
from genie_gym.pipeline.figures import write_strip
from genie_gym.pipeline.policies import StickyPolicy
from genie_gym.pipeline.sprites import SpriteDetector
from genie_gym.world_model import Checkpoint, Sampling

SHORTEST = 4  # steps of a long dream: its early and its late frames are compared

__all__ = ["long_dreams", "longest_absence", "random_actions", "real_frames", "thumbnails"]

CONTEXT = 2  # real frames a dream starts from
LOOKED_AT = (1, 8, 100, 500, 1000)  # steps shown in the strip, and at which the player is looked for
PICTURED = 6  # dreams shown
REAL = 4000  # real frames compared with, at most
THUMB = 8  # side of a thumbnail in pixels


def long_dreams(
    checkpoint: Checkpoint,
    recording: Recording,
    episodes: np.ndarray,
    steps: int = 1000,
    dreams: int = 16,
    sampling: Sampling | None = None,
    seed: int = 0,
    sprite: SpriteDetector | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Dreams on and on under random actions that are held for a while; ends are counted but end nothing.

    Args:
        episodes: of the recording: held-out ones. Dreams start anywhere in them; their frames are "real" below.
        steps: length of a dream; its second half is "late" below.
        sprite: finds the player; None leaves it out.
        out: folder for a strip of the pictures at a few steps, one dream a row.

    Returns:
        Plain values.

        frechet: squared Frechet distances to the real frames' 8x8 thumbnails (192 pixel levels each) of the dreams'
            late frames ("late"), of their first tenth ("early"), of as many frames of the other episodes ("real",
            what is left between two pieces of real play; None without other episodes), of black frames ("black").
        mean_level: mean pixel level, 0 to 255, of real, early and late frames.
        ended: share of dreams in which an end was ever drawn.
        sprite: None without a detector, else shares: "real" of the real frames that show it; by step, of the dreams
            that show it "at_step", and "recently_seen" in that step or the `longest_absence` steps before, the
            longest time the real game hides a player that returns (it is 0 where that never happens); of all dreamed
            frames that show it at all ("overall") and more than once ("doubled").
    """
    frames, ended = _dream(checkpoint, recording, episodes, steps, dreams, sampling or checkpoint.sampling, seed)
    if out is not None:
        steps_shown = [step - 1 for step in LOOKED_AT if step <= steps]
        write_strip(Path(out) / "long_dreams.png", frames[:PICTURED, steps_shown])
    real = real_frames(recording, episodes)
    others = real_frames(recording, np.setdiff1d(np.arange(len(recording)), episodes))
    early, late = frames[:, : max(steps // 10, 2)], frames[:, steps // 2 :]
    measured = thumbnails(np.concatenate(real))

    def distance(pictures: Frames) -> float:
        return frechet_distance(thumbnails(pictures), measured)

    return {
        "steps": steps,
        "dreams": dreams,
        "frechet": {
            "late": distance(late),
            "early": distance(early),
            "real": distance(np.concatenate(others)) if others else None,
            "black": distance(np.zeros_like(late[:1])),
        },
        "mean_level": {"real": np.concatenate(real).mean(), "early": early.mean(), "late": late.mean()},
        "ended": ended,
        "sprite": None if sprite is None else _sprite(sprite, frames, real),
    }


def thumbnails(frames: Frames) -> np.ndarray:
    """Area means of 8x8 places: uint8 (..., s, s, 3) to float (pictures, 192), in pixel levels."""
    side = frames.shape[-2] // THUMB
    flat = frames.reshape(-1, *frames.shape[-3:])
    parts = [
        reduce(flat[i : i + 1000].astype(np.float32), "n (h p) (w q) k -> n (h w k)", "mean", p=side, q=side)
        for i in range(0, len(flat), 1000)
    ]
    return np.concatenate(parts)


def longest_absence(present: np.ndarray) -> int:
    """Most steps in a row without the player, bool (t,), of those after which it came back.

    >>> longest_absence(np.array([True, False, False, True, False, False, False]))
    2
    """
    seen = np.flatnonzero(present)
    return int(np.diff(seen).max(initial=1)) - 1


def _dream(
    checkpoint: Checkpoint,
    recording: Recording,
    episodes: np.ndarray,
    steps: int,
    dreams: int,
    sampling: Sampling,
    seed: int,
) -> tuple[Frames, float]:
    """Frames uint8 (b, k, s, s, 3), and the share of dreams that came to an end."""
    clip = Clips(recording, CONTEXT, episodes, ends=False).sample(np.random.default_rng(seed), dreams)
    actions = random_actions(len(checkpoint.game["actions"]), dreams, steps, seed)
    seeds = np.random.default_rng(seed).integers(2**63, size=dreams)
    frames = np.empty((dreams, steps, *clip["frames"].shape[2:]), np.uint8)
    ended = np.zeros(dreams, bool)
    play = dream_steps(checkpoint, clip["frames"], clip["actions"], actions, seeds, sampling)
    terminal = Console(stderr=True)
    shown = track(play, "dreaming", total=steps, console=terminal, transient=True, disable=not terminal.is_terminal)
    for step, outcome in enumerate(shown):
        frames[:, step] = outcome.frames.cpu().numpy()
        ended |= outcome.ended.cpu().numpy()
    return frames, ended.mean()


def random_actions(number: int, dreams: int, steps: int, seed: int) -> np.ndarray:
    """Actions 0 to number - 1, held for a while: int64 (b, k), each dream's own."""
    taken = np.empty((dreams, steps), np.int64)
    for row in range(dreams):
        policy = StickyPolicy()
        policy.start(number, np.random.default_rng([seed, row]))
        taken[row] = [policy(taken) for _ in range(steps)]  # it looks at no picture
    return taken


def real_frames(recording: Recording, episodes: np.ndarray) -> list[Frames]:
    """Frames uint8 (t, s, s, 3) of whole episodes, as many of them as make up REAL frames."""
    chosen: list[Frames] = []
    for index in episodes:
        if sum(map(len, chosen)) >= REAL:
            break
        chosen.append(recording[int(index)].frames)
    return chosen


def _sprite(sprite: SpriteDetector, frames: Frames, real: list[Frames]) -> dict[str, Any]:
    played = [sprite.count(episode) > 0 for episode in real]
    count = sprite.count(frames)
    away = max(longest_absence(episode) for episode in played)
    steps = [step for step in (*LOOKED_AT[1:], frames.shape[1]) if step <= frames.shape[1]]
    return {
        "real": np.concatenate(played).mean(),
        "longest_absence": away,
        "at_step": {str(step): (count[:, step - 1] > 0).mean() for step in steps},
        "recently_seen": {str(step): (count[:, max(step - 1 - away, 0) : step] > 0).any(1).mean() for step in steps},
        "overall": (count > 0).mean(),
        "doubled": (count > 1).mean(),
    }
