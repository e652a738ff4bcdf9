"""How far predictions of held-out clips are from what came, beside repeating the last frame, and strips of them.

Shapes: b clips, s side of a frame in pixels.
"""

import math
from typing import Any

import numpy as np
from einops import rearrange

from benchmarks.common.results import Figures
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.clips import PredictedClips, predict_clips
from genie_gym.evaluation.config import COMPARED_STEP, EvalConfig
from genie_gym.metrics.image import Frames, moving_psnr, psnr
from genie_gym.training.windows import split_in_two
from genie_gym.world_model import Checkpoint

__all__ = ["COLUMNS", "ERRORS", "compare", "mean_and_error", "predict_held_out", "score", "strip"]

COLUMNS = 8  # of a strip
ERRORS = ("mse", "mse_repeating", "mse_less_than_repeating")


def predict_held_out(checkpoint: Checkpoint, dataset: EpisodeDataset, **chosen: Any) -> PredictedClips:
    """Draw clips of the held-out episodes and predict them under their actions; chosen are fields of `EvalConfig`."""
    config = EvalConfig(checkpoint=checkpoint.game["name"], **chosen)
    return predict_clips(checkpoint, dataset, split_in_two(dataset)[1], checkpoint.sampling, config)


def score(clips: PredictedClips, checkpoint: Checkpoint, seed: int) -> Figures:
    """Return the errors by step of prediction and of repeating the last frame, and delta-PSNR."""
    steps = sorted({1, COMPARED_STEP, clips.predicted.shape[1]})
    found = clips.controllability(np.arange(len(checkpoint.game["actions"])), seed)
    return {
        "steps": {str(t): compare(clips, t - 1) for t in steps},
        "reconstruction": {"psnr": mean_and_error(psnr(clips.reconstructed, clips.frames).mean(1))},
        "delta_psnr": [found.delta_psnr, found.delta_psnr_error],
    }


def compare(clips: PredictedClips, at: int) -> Figures:
    """Return the figures of one step: [mean, standard error over clips]; PSNR of moving pixels is pooled over clips."""
    real, moving = clips.real[:, at], clips.moving[:, clips.predictor.context + at]
    ours, repeated = (squared_errors(shown[:, at], real) for shown in (clips.predicted, clips.repeated))
    return {
        "mse": mean_and_error(ours),
        "mse_repeating": mean_and_error(repeated),
        "mse_less_than_repeating": mean_and_error(repeated - ours),
        "psnr": mean_and_error(psnr(clips.predicted[:, at], real)),
        "psnr_repeating": mean_and_error(psnr(clips.repeated[:, at], real)),
        "moving_psnr": moving_psnr(clips.predicted[:, at], real, moving),
        "moving_psnr_repeating": moving_psnr(clips.repeated[:, at], real, moving),
        "moving_share": float(moving.mean()),
    }


def squared_errors(shown: Frames, real: Frames) -> np.ndarray:
    """Return the mean squared error of each frame in squared pixel levels: uint8 (b, s, s, 3) twice to float64 (b,)."""
    return np.square(shown.astype(np.float64) - real.astype(np.float64)).mean((1, 2, 3))


def mean_and_error(values: np.ndarray) -> list[float]:
    """Return the mean and its standard error over clips, float (b,)."""
    return [float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))]


def strip(real: Frames, dreamed: Frames, clips: int) -> Frames:
    """Return two rows for each of a few clips, real above dreamed, at steps further and further apart."""
    shown = np.unique(np.geomspace(1, real.shape[1], COLUMNS).round().astype(int)) - 1
    rows = np.stack([real[:clips, shown], dreamed[:clips, shown]], 1)
    return rearrange(rows, "b row t h w c -> (b row) t h w c")
