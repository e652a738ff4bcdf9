"""Results of an evaluation. Lists hold one value per predicted step, the first for t = 1."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from genie_gym.evaluation.config import COMPARED_STEP
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import SamplingConfig
from genie_gym.world_model.actions.action_map import ActionAgreement

__all__ = [
    "Controllability",
    "EvalReport",
    "EvalSettings",
    "FrechetDistances",
    "LongHorizonMetrics",
    "MeanLevels",
    "PerceptualMetrics",
    "PerceptualReport",
    "ReconstructionMetrics",
    "RewardMetrics",
    "RolloutSpriteMetrics",
    "Speed",
    "SpriteMetrics",
    "StepMetrics",
]


@dataclass(frozen=True)
class EvalSettings:
    """Settings that the figures depend on.

    Attributes:
        clips: Number of clips predicted.
        context: Real frames before the first predicted frame.
        horizon: Frames predicted.
        long_steps: Length of the long rollouts; 0 for none.
        num_rollouts: Number of long rollouts.
        seed: Random seed.
        real_actions: Whether a latent action model was given the recorded actions through its action map.
        sampling: How tokens were sampled.
    """

    clips: int
    context: int
    horizon: int
    long_steps: int
    num_rollouts: int
    seed: int
    real_actions: bool
    sampling: SamplingConfig


@dataclass(frozen=True)
class ReconstructionMetrics:
    """Similarity of encoded and decoded frames to the real ones.

    Attributes:
        mse: Mean squared error in squared pixel levels, 0 to 65,025.
        moving_mse: The same over moving pixels, see `metrics.image.moving_pixels`; NaN if nothing moves.
        psnr: PSNR in dB, mean over frames.
        moving_psnr: PSNR in dB over moving pixels, pooled over frames; NaN if nothing moves.
        ssim: Structural similarity, mean over frames.
        frechet: Squared Frechet distance of 8x8 thumbnails to those of the real frames.
    """

    mse: float
    moving_mse: float
    psnr: float
    moving_psnr: float
    ssim: float
    frechet: float


@dataclass(frozen=True)
class StepMetrics:
    """Similarity of predicted frames to the real ones, by step.

    Attributes:
        mse: Mean squared error in squared pixel levels, 0 to 65,025.
        moving_mse: The same over moving pixels, see `metrics.image.moving_pixels`; NaN where nothing moves.
        psnr: PSNR in dB, mean over frames.
        psnr_error: Its standard error over clips; NaN for a single clip.
        pooled_psnr: PSNR in dB of the mean squared error over all frames.
        moving_psnr: PSNR in dB over moving pixels, pooled over frames; NaN where nothing moves.
        ssim: Structural similarity, mean over frames.
        frechet: Squared Frechet distance of 8x8 thumbnails to those of the real frames, over all steps.
    """

    mse: list[float]
    moving_mse: list[float]
    psnr: list[float]
    psnr_error: list[float]
    pooled_psnr: list[float]
    moving_psnr: list[float]
    ssim: list[float]
    frechet: float


@dataclass(frozen=True)
class Controllability:
    """Loss of PSNR at t = 4 in dB when the actions are not the true ones, with the same noise and sampling steps.

    Attributes:
        delta_psnr: Loss with all actions after the context drawn at random, as Genie and the paper define it.
        delta_psnr_error: Its standard error over clips; NaN for a single clip.
        delta_psnr_last_action: Loss with only the fourth action replaced by another, as in the paper's released code.
        delta_psnr_last_action_error: Its standard error over clips; NaN for a single clip.
    """

    delta_psnr: float
    delta_psnr_error: float
    delta_psnr_last_action: float
    delta_psnr_last_action_error: float


@dataclass(frozen=True)
class PerceptualMetrics:
    """Perceptual distance of frames to the real ones.

    Attributes:
        lpips: LPIPS by step, mean over clips.
        fid: FID over all steps.
    """

    lpips: list[float]
    fid: float


@dataclass(frozen=True)
class PerceptualReport:
    """LPIPS and FID of each kind of frames.

    Attributes:
        reconstruction: Encoded and decoded frames, context included.
        prediction: Frames predicted autoregressively.
        single_pass: Frames predicted in a single pass.
        repeat: The last context frame repeated.
    """

    reconstruction: PerceptualMetrics
    prediction: PerceptualMetrics
    single_pass: PerceptualMetrics
    repeat: PerceptualMetrics


@dataclass(frozen=True)
class SpriteMetrics:
    """Whether predicted frames show the player where the real frames do. All values are shares, 0 to 1.

    Attributes:
        real: By step, share of clips whose real frame shows the player.
        kept: By step, share of those whose predicted frame shows it too.
        in_place: By step, share of those whose predicted frame shows it within 2 pixels of the real place.
        reconstructed: Share of those, over all steps, whose reconstructed frame shows it.
    """

    real: list[float]
    kept: list[float]
    in_place: list[float]
    reconstructed: float


@dataclass(frozen=True)
class FrechetDistances:
    """Squared Frechet distances to the thumbnails of held-out real frames, on 192 pixel levels each.

    Attributes:
        late: Distance of the second half of the rollouts.
        early: Distance of their first tenth.
        real: Distance of as many real frames of other episodes, a lower bound; None without other episodes.
        black: Distance of black frames.
    """

    late: float
    early: float
    real: float | None
    black: float


@dataclass(frozen=True)
class MeanLevels:
    """Mean pixel levels, 0 to 255, of real frames and of early and late frames of rollouts."""

    real: float
    early: float
    late: float


@dataclass(frozen=True)
class RolloutSpriteMetrics:
    """Presence of the player in long rollouts. All values but `longest_absence` are shares, 0 to 1.

    Attributes:
        real: Share of real frames that show the player.
        longest_absence: Most steps in a row for which the real game hides a player that returns.
        at_step: By step number, share of rollouts that show the player at that step.
        recently_seen: By step number, share of rollouts that show it then or in the `longest_absence` steps before.
        overall: Share of all frames that show it.
        doubled: Share of all frames that show it more than once.
    """

    real: float
    longest_absence: int
    at_step: dict[int, float]
    recently_seen: dict[int, float]
    overall: float
    doubled: float


@dataclass(frozen=True)
class LongHorizonMetrics:
    """Quality of long rollouts under random actions, each held for a while.

    Attributes:
        steps: Length of a rollout.
        num_rollouts: Number of rollouts.
        frechet: Distances to real frames.
        mean_level: Mean pixel levels.
        terminated: Share of rollouts in which the model ever sampled a termination; they continue regardless.
        sprite: Presence of the player; None without a detector.
    """

    steps: int
    num_rollouts: int
    frechet: FrechetDistances
    mean_level: MeanLevels
    terminated: float
    sprite: RolloutSpriteMetrics | None


@dataclass(frozen=True)
class RewardMetrics:
    """Imagined rewards against real ones under the same actions, summed over some steps, in the game's own unit.

    Attributes:
        steps: Number of steps summed.
        real: Mean real sum over clips.
        imagined: Mean imagined sum over clips.
        real_error: Standard error of `real`; NaN for a single clip.
        imagined_error: Standard error of `imagined`; NaN for a single clip.
        correlation: Correlation of both sums over clips; NaN if one of them never varies.
    """

    steps: int
    real: float
    imagined: float
    real_error: float
    imagined_error: float
    correlation: float


@dataclass(frozen=True)
class Speed:
    """Frames per second of autoregressive prediction in batches of that size."""

    frames_per_second: float
    batch: int


@dataclass(frozen=True)
class EvalReport:
    """Results of an evaluation.

    Attributes:
        game: Name of the game.
        settings: Settings that the figures depend on.
        reconstruction: Encoded and decoded frames against the real ones.
        prediction: Frames predicted autoregressively, each from those predicted before it.
        single_pass: All frames predicted in a single pass, see `WorldModel.single_pass`; the paper has both ways.
        repeat: The last context frame repeated, as a baseline.
        controllability: Delta-PSNR of autoregressive prediction.
        single_pass_controllability: Delta-PSNR of single-pass prediction.
        speed: Speed of autoregressive prediction; the only part that differs from run to run.
        perceptual: LPIPS and FID; None unless asked for.
        sprite: Presence of the player in predictions; None without a detector.
        latent_actions: Agreement of inferred and recorded actions; None for models of real actions, or where no
            actions were recorded.
        long_horizon: Quality of long rollouts; None without them.
        rewards: Imagined against real rewards; None without long rollouts.
    """

    game: str
    settings: EvalSettings
    reconstruction: ReconstructionMetrics
    prediction: StepMetrics
    single_pass: StepMetrics
    repeat: StepMetrics
    controllability: Controllability
    single_pass_controllability: Controllability
    speed: Speed
    perceptual: PerceptualReport | None = None
    sprite: SpriteMetrics | None = None
    latent_actions: ActionAgreement | None = None
    long_horizon: LongHorizonMetrics | None = None
    rewards: RewardMetrics | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as nested JSON values, None for what is not a number."""
        return to_jsonable(self)

    def summary(self) -> Table:
        """Return the main figures as a table for the terminal."""
        table = Table(title=f"{self.game}: held-out episodes", box=box.SIMPLE_HEAD)
        table.add_column("")
        for name in ("whole frame", "moving pixels"):
            table.add_column(name, justify="right")
        for row in (*_similarity(self), *_actions(self), *_perceptual(self), *_rollouts(self)):
            table.add_row(*row)
        table.add_row(f"frames/s in batches of {self.speed.batch}", f"{self.speed.frames_per_second:.0f}")
        return table


def _similarity(report: EvalReport) -> Iterator[tuple[str, ...]]:
    """Rows of MSE, then of PSNR."""
    steps = sorted({1, COMPARED_STEP, len(report.prediction.mse)})
    for title, key in (("MSE", "mse"), ("PSNR, dB", "psnr")):
        for who, metrics in (("prediction", report.prediction), ("last frame repeated", report.repeat)):
            for t in steps:
                yield f"{title}: {who}, t = {t}", *_pair(metrics, key, t)
        yield f"{title}: single-pass prediction, t = {COMPARED_STEP}", *_pair(report.single_pass, key, COMPARED_STEP)
        seen = report.reconstruction
        yield f"{title}: reconstruction", *(number(getattr(seen, name)) for name in (key, f"moving_{key}"))


def _pair(metrics: StepMetrics, key: str, t: int) -> tuple[str, str]:
    """A figure of step t over the whole frame and over moving pixels."""
    whole, moving = (getattr(metrics, name)[t - 1] for name in (key, f"moving_{key}"))
    return number(whole), number(moving)


def _actions(report: EvalReport) -> Iterator[tuple[str, ...]]:
    """Rows of controllability and latent actions."""
    found = report.controllability
    yield f"delta-PSNR at t = {COMPARED_STEP}, random actions, dB", number(found.delta_psnr)
    yield f"delta-PSNR at t = {COMPARED_STEP}, other last action, dB", number(found.delta_psnr_last_action)
    if latent := report.latent_actions:
        name = "latent and true actions (shuffled)"
        yield f"{name}, mutual information", _side_by_side(latent.nmi, latent.shuffled_nmi)
        yield f"{name}, one-to-one accuracy", _side_by_side(latent.accuracy, latent.shuffled_accuracy)


def _perceptual(report: EvalReport) -> Iterator[tuple[str, ...]]:
    """Rows of LPIPS and FID, and of the player in predictions."""
    for name in ("reconstruction", "prediction", "single_pass", "repeat") if report.perceptual else ():
        found: PerceptualMetrics = getattr(report.perceptual, name)
        values = f"{number(found.lpips[COMPARED_STEP - 1], '.3f')}, {number(found.fid, '.1f')}"
        yield f"LPIPS at t = {COMPARED_STEP}, FID: {name.replace('_', ' ')}", values
    if report.sprite:
        kept = report.sprite.kept
        yield f"player visible at t = {len(kept)}", f"{kept[-1]:.0%}"


def _rollouts(report: EvalReport) -> Iterator[tuple[str, ...]]:
    """Rows of long rollouts and rewards."""
    long, rewards = report.long_horizon, report.rewards
    if long and long.sprite:
        recent = long.sprite.recently_seen
        shares = ", ".join(f"{share:.0%}" for share in recent.values())
        yield f"player visible after {', '.join(map(str, recent))} steps", shares
    if long:
        distances = (number(x, ".0f") for x in (long.frechet.late, long.frechet.real, long.frechet.black))
        yield "Frechet distance late in rollouts (real, black)", "{} ({}, {})".format(*distances)
        yield f"rollouts with a termination in {long.steps} steps", f"{long.terminated:.0%}"
    if rewards:
        name = f"reward in {rewards.steps} steps, imagined (real)"
        yield name, f"{number(rewards.imagined, '.3g')} ({number(rewards.real, '.3g')})"


def _side_by_side(value: float, other: float) -> str:
    return f"{number(value, '.3f')} ({number(other, '.3f')})"


def number(value: float | None, form: str = ".2f") -> str:
    """Format a figure; "-" for None and NaN."""
    return "-" if value is None or math.isnan(value) else format(value, form)
