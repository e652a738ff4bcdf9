"""Frames that tell little of what comes next, from which two models are compared: the player is in mid-air, say."""

import numpy as np
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.data.convert.images import Images, find_images
from genie_gym.errors import DataError
from genie_gym.metrics.image import Frames
from genie_gym.studies.config import StudyConfig
from genie_gym.utils.motion import camera_and_independent_tokens

__all__ = ["starting_frames"]

DRAWN = 8  # candidates for each frame
KEPT = 2  # of the candidates in which most is moving, as many times the frames wanted
PATCH = 8  # pixels of the squares in which motion is counted


def starting_frames(dataset: EpisodeDataset, held_out: np.ndarray, config: StudyConfig, count: int) -> Frames:
    """Return frames uint8 (n, s, s, 3), at most `count`: the pictures of a folder, or the choice described here.

    Of pairs of consecutive frames, those are candidates in which most moves otherwise than the camera: a single frame
    does not show how fast, so that the actions alone tell what comes next. From these the frames are drawn.

    Raises:
        DataError: The folder has no two images, or one cannot be read; or no episode has two frames.
    """
    if config.starts is not None:
        files = find_images(config.starts)[:count]
        return np.stack(list(Images(files, dataset.frames(0, 0, 1).shape[1]).frames()))
    if int(dataset.lengths[held_out].max(initial=0)) < 2:
        raise DataError(f"no held-out episode of {dataset.folder} has two frames; record longer ones")
    rng = np.random.default_rng(config.seed)
    pairs = SequenceDataset(dataset, 2, held_out).sample(rng, DRAWN * count)["frames"]
    _, moving = camera_and_independent_tokens(torch.from_numpy(pairs), PATCH)
    most = np.argsort(-moving[:, 1].sum(-1).numpy(), kind="stable")[: KEPT * count]
    return pairs[rng.permutation(most)[:count], 1]
