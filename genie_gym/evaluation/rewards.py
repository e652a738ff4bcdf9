"""Imagined rewards against real ones under the same actions."""

import numpy as np

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.evaluation.results import RewardMetrics
from genie_gym.evaluation.rollouts import BATCH_SIZE, rollout_steps
from genie_gym.utils.progress import tracked
from genie_gym.world_model import Checkpoint, SamplingConfig

__all__ = ["score_rewards"]

CONTEXT = 4  # real frames a rollout starts from


def score_rewards(
    checkpoint: Checkpoint,
    dataset: EpisodeDataset,
    episodes: np.ndarray,
    steps: int = 60,
    clips: int = BATCH_SIZE,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
) -> RewardMetrics:
    """Compare sums of imagined rewards with sums of real ones.

    An agent trained in imagination exploits whatever the model overestimates. A model knows the reward of an action
    only in situations like those of its training data, so compare on episodes of several policies.

    Args:
        checkpoint: The world model.
        dataset: Episodes of its game.
        episodes: Indices of the episodes to use, held out from training.
        steps: Steps to sum over; fewer where no episode is as long.
        clips: Number of clips drawn at random from them.
        sampling: How tokens are sampled; as the checkpoint says by default.
        seed: Random seed.
    """
    steps = min(steps, int(dataset.lengths[episodes].max()) - CONTEXT)
    clip = SequenceDataset(dataset, CONTEXT + steps, episodes).sample(np.random.default_rng(seed), clips)
    imagined = _imagined(checkpoint, clip, sampling or checkpoint.sampling, seed)
    real = clip["rewards"][:, CONTEXT - 1 :].sum(1)
    varies = min(real.std(), imagined.std()) > 0
    return RewardMetrics(
        steps=steps,
        real=float(real.mean()),
        imagined=float(imagined.mean()),
        real_error=_error(real),
        imagined_error=_error(imagined),
        correlation=float(np.corrcoef(real, imagined)[0, 1]) if varies else float("nan"),
    )


def _imagined(checkpoint: Checkpoint, clip: dict[str, np.ndarray], sampling: SamplingConfig, seed: int) -> np.ndarray:
    """Return the sums of imagined rewards under the actions of the clips, float64 (clips,)."""
    frames, actions = clip["frames"][:, :CONTEXT], clip["actions"]
    seeds = np.random.default_rng([seed, 1]).integers(2**63, size=len(frames))
    total = np.zeros(len(frames))
    prev_actions, taken = actions[:, : CONTEXT - 1], actions[:, CONTEXT - 1 :]
    outcomes = rollout_steps(checkpoint, frames, prev_actions, taken, seeds, sampling)
    for outcome in tracked(outcomes, "imagining rewards", taken.shape[1], unit="steps"):
        total += outcome.rewards.float().cpu().numpy()
    return total


def _error(sums: np.ndarray) -> float:
    return float(sums.std(ddof=1) / np.sqrt(len(sums))) if len(sums) > 1 else float("nan")
