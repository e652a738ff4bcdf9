"""Clips of held-out episodes and what a model predicts of them.

Shapes: b clips, c context frames, h frames predicted (the horizon), s side of a frame in pixels. Step t of a prediction
is frame c + t - 1 of its clip, so t = 1 is the first frame predicted.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from einops import rearrange

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.errors import DataError
from genie_gym.evaluation import frame_metrics, sprites
from genie_gym.evaluation.config import COMPARED_STEP, EvalConfig
from genie_gym.evaluation.controllability import measure_controllability
from genie_gym.evaluation.perceptual import PerceptualScore
from genie_gym.evaluation.report import write_grid
from genie_gym.evaluation.results import (
    Controllability,
    PerceptualReport,
    ReconstructionMetrics,
    Speed,
    SpriteMetrics,
    StepMetrics,
)
from genie_gym.evaluation.rollouts import BATCH_SIZE, RunBatches, rollout, rollout_single_pass
from genie_gym.metrics.image import Frames, moving_pixels
from genie_gym.world_model import Checkpoint, SamplingConfig
from genie_gym.world_model.batched import decode_clips, encode_clips

__all__ = ["ClipPredictor", "PredictedClips", "predict_clips"]

SHOWN_CLIPS = 6  # clips in prediction.png


@dataclass(frozen=True)
class ClipPredictor:
    """Predicts the same clips under any actions, with the same noise each time.

    Attributes:
        checkpoint: The world model.
        prompts: Context frames of the clips, uint8 (b, c, s, s, 3).
        seeds: int64 (b,).
        sampling: How tokens are sampled.
        run: Computes the batches; here by default.
    """

    checkpoint: Checkpoint
    prompts: Frames
    seeds: np.ndarray
    sampling: SamplingConfig
    run: RunBatches | None = None

    @property
    def context(self) -> int:
        """Number of context frames, c."""
        return self.prompts.shape[1]

    def autoregressive(self, actions: np.ndarray) -> Frames:
        """Predict each frame from those predicted before it.

        Args:
            actions: int64 (b, c - 1 + h), those between the context frames included.

        Returns:
            uint8 (b, h, s, s, 3).
        """
        return rollout(self.checkpoint, self.prompts, *self._split(actions), self.seeds, self.sampling, self.run)

    def single_pass(self, actions: np.ndarray) -> Frames:
        """Predict all frames in a single pass; arguments and result as for `autoregressive`."""
        return rollout_single_pass(
            self.checkpoint, self.prompts, *self._split(actions), self.seeds, self.sampling, self.run
        )

    def _split(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return actions[:, : self.context - 1], actions[:, self.context - 1 :]


@dataclass(frozen=True)
class PredictedClips:
    """Clips and what the model makes of them under their true actions.

    Attributes:
        predictor: Predicts the clips under other actions.
        frames: Real frames, uint8 (b, c + h, s, s, 3).
        actions: True actions, int64 (b, c + h - 1).
        moving: Moving pixels of the clips, bool (b, c + h, s, s).
        reconstructed: Encoded and decoded frames, of the shape of `frames`.
        predicted: Frames predicted autoregressively, uint8 (b, h, s, s, 3).
        single_pass: Frames predicted in a single pass, of the same shape.
        speed: Speed of autoregressive prediction.
    """

    predictor: ClipPredictor
    frames: Frames
    actions: np.ndarray
    moving: np.ndarray
    reconstructed: Frames
    predicted: Frames
    single_pass: Frames
    speed: Speed

    @property
    def real(self) -> Frames:
        """Real frames at the predicted steps, uint8 (b, h, s, s, 3)."""
        return self.frames[:, self.predictor.context :]

    @property
    def repeated(self) -> Frames:
        """The last context frame repeated, uint8 (b, h, s, s, 3)."""
        last = self.predictor.context - 1
        return np.repeat(self.frames[:, last : last + 1], self.predicted.shape[1], 1)

    def reconstruction_metrics(self) -> ReconstructionMetrics:
        """Compare the reconstructed frames with the real ones."""
        return frame_metrics.reconstruction_metrics(self.reconstructed, self.frames, self.moving)

    def step_metrics(self, shown: Frames) -> StepMetrics:
        """Compare frames uint8 (b, h, s, s, 3) with the real ones, step by step."""
        return frame_metrics.step_metrics(shown, self.real, self.moving[:, self.predictor.context :])

    def controllability(self, choices: np.ndarray, seed: int, single_pass: bool = False) -> Controllability:
        """Measure delta-PSNR with random actions from `choices`, int64 (actions,)."""
        predict = self.predictor.single_pass if single_pass else self.predictor.autoregressive
        predicted = self.single_pass if single_pass else self.predicted
        context = self.predictor.context
        return measure_controllability(predict, predicted, self.real, self.actions, context, choices, seed)

    def sprite_metrics(self, sprite: sprites.SpriteDetector) -> SpriteMetrics:
        """Measure whether the frames show the player where the real ones do."""
        reconstructed = self.reconstructed[:, self.predictor.context :]
        return sprites.sprite_metrics(sprite, self.real, self.predicted, reconstructed)

    def perceptual_metrics(self, score: PerceptualScore) -> PerceptualReport:
        """Measure the perceptual distance of each kind of frames."""
        return PerceptualReport(
            reconstruction=score(self.reconstructed, self.frames),
            prediction=score(self.predicted, self.real),
            single_pass=score(self.single_pass, self.real),
            repeat=score(self.repeated, self.real),
        )

    def write(self, path: Path) -> None:
        """Write three rows for each of a few clips: real, predicted, last context frame repeated."""
        rows = np.stack([x[:SHOWN_CLIPS] for x in (self.real, self.predicted, self.repeated)], 1)
        write_grid(path, rearrange(rows, "b row t h w k -> (b row) t h w k"))


def predict_clips(
    checkpoint: Checkpoint,
    dataset: EpisodeDataset,
    episodes: np.ndarray,
    sampling: SamplingConfig,
    config: EvalConfig,
    run: RunBatches | None = None,
) -> PredictedClips:
    """Draw clips, predict them, and write a few of them to the folder `config.out`, if there is one.

    Args:
        checkpoint: The world model.
        dataset: Episodes of its game.
        episodes: Indices of the episodes to use.
        sampling: How tokens are sampled.
        config: Number and lengths of the clips, and the seed.
        run: Computes the batches; here by default.

    Raises:
        DataError: No episode is long enough, or the images cannot be written.
    """
    _check_lengths(dataset, episodes, config)
    windows = SequenceDataset(dataset, config.context + config.horizon, episodes)
    clip = windows.sample(np.random.default_rng(config.seed), config.clips)
    frames, actions = clip["frames"], clip["actions"]
    seeds = np.random.default_rng(config.seed).integers(2**63, size=len(frames))
    predictor = ClipPredictor(checkpoint, frames[:, : config.context], seeds, sampling, run)
    predicted, speed = _timed(predictor, actions)
    clips = PredictedClips(
        predictor=predictor,
        frames=frames,
        actions=actions,
        moving=np.stack([moving_pixels(one) for one in frames]),
        reconstructed=decode_clips(checkpoint.model, encode_clips(checkpoint.model, frames)),
        predicted=predicted,
        single_pass=predictor.single_pass(actions),
        speed=speed,
    )
    if config.out is not None:
        clips.write(Path(config.out) / "prediction.png")
    return clips


def _check_lengths(dataset: EpisodeDataset, episodes: np.ndarray, config: EvalConfig) -> None:
    """Raise DataError if no episode is as long as a clip; say which horizon fits, if any does."""
    longest, context = int(dataset.lengths[episodes].max(initial=0)), config.context
    if longest < context + config.horizon:
        fitting = longest - context >= COMPARED_STEP
        advice = f"give --horizon {longest - context}" if fitting else "record longer episodes"
        raise DataError(
            f"clips have {context} + {config.horizon} frames (--context, --horizon), and the longest of "
            f"{len(episodes)} held-out episode(s) in {dataset.folder} has {longest}; {advice}"
        )


def _timed(predictor: ClipPredictor, actions: np.ndarray) -> tuple[Frames, Speed]:
    """Predict autoregressively and measure the speed."""
    started = time.perf_counter()
    predicted = predictor.autoregressive(actions)
    seconds = time.perf_counter() - started
    return predicted, Speed(predicted.shape[0] * predicted.shape[1] / seconds, min(len(predicted), BATCH_SIZE))
