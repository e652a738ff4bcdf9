"""The play that a model is studied on: held-out recorded pieces, or dreams of its own where nothing was recorded.

Shapes: b pieces, t frames, c prompt frames, s side of a frame in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch

from genie_gym.data import Clips, Recording
from genie_gym.frames import to_model
from genie_gym.metrics import Frames
from genie_gym.pipeline.dreaming import dream
from genie_gym.pipeline.evaluate import check_actions
from genie_gym.pipeline.long_dreams import random_actions
from genie_gym.pipeline.windows import split_in_two
from genie_gym.world_model import Checkpoint

__all__ = ["Play", "dreamed_play", "recorded_play"]


@dataclass(frozen=True)
class Play:
    """Pieces of play.

    Attributes:
        frames: uint8 (b, t, s, s, 3).
        actions: int64 (b, t - 1), those between the frames.
        dreamed: whether a model drew them.
    """

    frames: Frames
    actions: np.ndarray
    dreamed: bool = False


def recorded_play(checkpoint: Checkpoint, recording: Recording, pieces: int, length: int, seed: int = 0) -> Play:
    """Random pieces of the held-out episodes, under the actions the model knows: its own where they are latent.

    Raises:
        ConfigError: the recording is of a game with other actions.
        DataError: no held-out episode has so many frames.
    """
    model, latent = checkpoint.model, checkpoint.model.latent_actions
    if latent is None:
        check_actions(checkpoint, recording)
    clip = Clips(recording, length, split_in_two(recording)[1]).sample(np.random.default_rng(seed), pieces)
    frames, actions = clip["frames"], clip["actions"]
    if latent is not None:
        actions = latent.codes(to_model(torch.from_numpy(frames).to(model.device))).cpu().numpy()
    return Play(frames, actions)


def dreamed_play(checkpoint: Checkpoint, pieces: int, length: int, seed: int = 0) -> Play:
    """The pieces of real play that lie in the checkpoint, dreamed on under random actions that are held for a while."""
    rng = np.random.default_rng(seed)
    starts, led = (checkpoint.starts[name].numpy() for name in ("frames", "actions"))
    rows = rng.choice(len(starts), pieces, replace=pieces > len(starts))
    starts, led = starts[rows, :length], led[rows, : length - 1]
    steps = length - starts.shape[1]
    if not steps:
        return Play(starts, led)
    actions = random_actions(len(checkpoint.game["actions"]), pieces, steps, seed)
    seeds = rng.integers(2**63, size=pieces)
    dreamed = dream(checkpoint, starts, led, actions, seeds, checkpoint.sampling)
    return Play(np.concatenate([starts, dreamed], 1), np.concatenate([led, actions], 1), dreamed=True)
