"""The clips that a model is analysed on: of held-out episodes, or imagined where there is no dataset.

Shapes: b clips, t frames, c context frames, s side of a frame in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.evaluation.actions import check_actions
from genie_gym.evaluation.long_horizon import random_actions
from genie_gym.evaluation.rollouts import rollout
from genie_gym.metrics.image import Frames
from genie_gym.training.windows import split_in_two
from genie_gym.utils.images import to_model
from genie_gym.world_model import Checkpoint

__all__ = ["SampledClips", "imagined_clips", "recorded_clips"]


@dataclass(frozen=True)
class SampledClips:
    """Clips of frames and the actions between them.

    Attributes:
        frames: uint8 (b, t, s, s, 3).
        actions: int64 (b, t - 1).
        imagined: Whether a model predicted some of the frames.
    """

    frames: Frames
    actions: np.ndarray
    imagined: bool = False


def recorded_clips(
    checkpoint: Checkpoint, dataset: EpisodeDataset, number: int, length: int, seed: int = 0
) -> SampledClips:
    """Draw clips of held-out episodes, under the actions the model knows: inferred ones if they are latent.

    Args:
        checkpoint: The world model.
        dataset: Episodes of its game.
        number: Number of clips, b.
        length: Frames of a clip, t.
        seed: Random seed.

    Raises:
        ConfigError: The dataset has other actions than the model.
        DataError: No held-out episode has so many frames.
    """
    model, latent = checkpoint.model, checkpoint.model.latent_actions
    if latent is None:
        check_actions(checkpoint, dataset)
    clip = SequenceDataset(dataset, length, split_in_two(dataset)[1]).sample(np.random.default_rng(seed), number)
    frames, actions = clip["frames"], clip["actions"]
    if latent is not None:
        actions = latent.codes(to_model(torch.from_numpy(frames).to(model.device))).cpu().numpy()
    return SampledClips(frames, actions)


def imagined_clips(checkpoint: Checkpoint, number: int, length: int, seed: int = 0) -> SampledClips:
    """Continue the initial contexts of a checkpoint under random actions, each held for a while.

    Args:
        checkpoint: The world model.
        number: Number of clips, b.
        length: Frames of a clip, context included, t.
        seed: Random seed.
    """
    rng = np.random.default_rng(seed)
    contexts, prev_actions = (checkpoint.initial_contexts[name].numpy() for name in ("frames", "actions"))
    rows = rng.choice(len(contexts), number, replace=number > len(contexts))
    contexts, prev_actions = contexts[rows, :length], prev_actions[rows, : length - 1]
    steps = length - contexts.shape[1]
    if not steps:
        return SampledClips(contexts, prev_actions)
    actions = random_actions(len(checkpoint.game["actions"]), number, steps, seed)
    seeds = rng.integers(2**63, size=number)
    frames = rollout(checkpoint, contexts, prev_actions, actions, seeds, checkpoint.sampling)
    return SampledClips(
        np.concatenate([contexts, frames], 1), np.concatenate([prev_actions, actions], 1), imagined=True
    )
