"""Long rollouts: whether frames still look like the game, and still show the player, after a thousand steps.

Shapes: b rollouts, k steps, t real frames, s side of a frame in pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genie_gym.collection.policies import StickyPolicy
from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.evaluation.frame_metrics import thumbnails
from genie_gym.evaluation.report import write_grid
from genie_gym.evaluation.results import FrechetDistances, LongHorizonMetrics, MeanLevels, RolloutSpriteMetrics
from genie_gym.evaluation.rollouts import rollout_steps
from genie_gym.evaluation.sprites import SpriteDetector
from genie_gym.metrics.image import Frames, frechet_distance
from genie_gym.utils.progress import tracked
from genie_gym.world_model import Checkpoint, SamplingConfig

__all__ = ["long_rollouts", "longest_absence", "random_actions", "real_frames"]

CONTEXT = 2  # real frames a rollout starts from
SHOWN_STEPS = (1, 8, 100, 500, 1000)  # steps shown in the image, and at which the player is looked for
SHOWN_ROLLOUTS = 6
REAL_FRAMES = 4000  # real frames compared with, at most


@dataclass(frozen=True)
class _Rollouts:
    """Frames uint8 (b, k, s, s, 3), and whether a termination was ever sampled, bool (b,)."""

    frames: Frames
    terminated: np.ndarray


def long_rollouts(
    checkpoint: Checkpoint,
    dataset: EpisodeDataset,
    episodes: np.ndarray,
    steps: int = 1000,
    num_rollouts: int = 16,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    sprite: SpriteDetector | None = None,
    out: str | Path | None = None,
) -> LongHorizonMetrics:
    """Measure long rollouts under random actions, each held for a while; terminations are counted but end nothing.

    Args:
        checkpoint: The world model.
        dataset: Episodes of its game.
        episodes: Indices of held-out episodes. Rollouts start anywhere in them, and are compared with their frames.
        steps: Length of a rollout, at least 4.
        num_rollouts: Number of rollouts.
        sampling: How tokens are sampled; as the checkpoint says by default.
        seed: Random seed.
        sprite: Detector of the player; None leaves it out.
        out: Folder for long_rollouts.png, which shows a few steps, one rollout a row.
    """
    rollouts = _imagine(checkpoint, dataset, episodes, steps, num_rollouts, sampling or checkpoint.sampling, seed)
    frames = rollouts.frames
    if out is not None:
        shown = [step - 1 for step in SHOWN_STEPS if step <= steps]
        write_grid(Path(out) / "long_rollouts.png", frames[:SHOWN_ROLLOUTS, shown])
    real = real_frames(dataset, episodes)
    others = real_frames(dataset, np.setdiff1d(np.arange(len(dataset)), episodes))
    early, late = frames[:, : max(steps // 10, 2)], frames[:, steps // 2 :]
    levels = (float(x.mean()) for x in (np.concatenate(real), early, late))
    return LongHorizonMetrics(
        steps=steps,
        num_rollouts=num_rollouts,
        frechet=_distances(early, late, real, others),
        mean_level=MeanLevels(*levels),
        terminated=float(rollouts.terminated.mean()),
        sprite=None if sprite is None else _sprite_metrics(sprite, frames, real),
    )


def longest_absence(present: np.ndarray) -> int:
    """Return the most steps in a row without the player, bool (t,), after which it came back.

    >>> longest_absence(np.array([True, False, False, True, False, False, False]))
    2
    """
    seen = np.flatnonzero(present)
    return int(np.diff(seen).max(initial=1)) - 1


def random_actions(number: int, num_rollouts: int, steps: int, seed: int) -> np.ndarray:
    """Draw actions 0 to number - 1 for each rollout, each held for a while: int64 (b, k)."""
    actions = np.empty((num_rollouts, steps), np.int64)
    for row in range(num_rollouts):
        policy = StickyPolicy()
        policy.reset(number, np.random.default_rng([seed, row]))
        actions[row] = [policy(actions) for _ in range(steps)]  # it does not look at its observation
    return actions


def real_frames(dataset: EpisodeDataset, episodes: np.ndarray) -> list[Frames]:
    """Return the frames uint8 (t, s, s, 3) of whole episodes, until there are 4,000 in all."""
    chosen: list[Frames] = []
    for index in episodes:
        if sum(map(len, chosen)) >= REAL_FRAMES:
            break
        chosen.append(dataset[int(index)].frames)
    return chosen


def _imagine(
    checkpoint: Checkpoint,
    dataset: EpisodeDataset,
    episodes: np.ndarray,
    steps: int,
    num_rollouts: int,
    sampling: SamplingConfig,
    seed: int,
) -> _Rollouts:
    clip = SequenceDataset(dataset, CONTEXT, episodes, include_terminal=False).sample(
        np.random.default_rng(seed), num_rollouts
    )
    actions = random_actions(len(checkpoint.game["actions"]), num_rollouts, steps, seed)
    seeds = np.random.default_rng(seed).integers(2**63, size=num_rollouts)
    frames = np.empty((num_rollouts, steps, *clip["frames"].shape[2:]), np.uint8)
    terminated = np.zeros(num_rollouts, bool)
    outcomes = rollout_steps(checkpoint, clip["frames"], clip["actions"], actions, seeds, sampling)
    for step, outcome in enumerate(tracked(outcomes, "long rollouts", steps, unit="steps")):
        frames[:, step] = outcome.frames.cpu().numpy()
        terminated |= outcome.terminated.cpu().numpy()
    return _Rollouts(frames, terminated)


def _distances(early: Frames, late: Frames, real: list[Frames], others: list[Frames]) -> FrechetDistances:
    reference = thumbnails(np.concatenate(real))

    def distance(frames: Frames) -> float:
        return frechet_distance(thumbnails(frames), reference)

    return FrechetDistances(
        late=distance(late),
        early=distance(early),
        real=distance(np.concatenate(others)) if others else None,
        black=distance(np.zeros_like(late[:1])),
    )


def _sprite_metrics(sprite: SpriteDetector, frames: Frames, real: list[Frames]) -> RolloutSpriteMetrics:
    present = [sprite.count(episode) > 0 for episode in real]
    count = sprite.count(frames)
    absence = max(longest_absence(episode) for episode in present)
    steps = [step for step in (*SHOWN_STEPS[1:], frames.shape[1]) if step <= frames.shape[1]]
    recent = {step: count[:, max(step - 1 - absence, 0) : step] > 0 for step in steps}
    return RolloutSpriteMetrics(
        real=float(np.concatenate(present).mean()),
        longest_absence=absence,
        at_step={step: float((count[:, step - 1] > 0).mean()) for step in steps},
        recently_seen={step: float(seen.any(1).mean()) for step, seen in recent.items()},
        overall=float((count > 0).mean()),
        doubled=float((count > 1).mean()),
    )
