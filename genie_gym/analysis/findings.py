"""Findings of an analysis: the arrays behind its images, and the figures made of them.

Shapes: b clips, t frames, a actions, k steps, s side of a frame in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from genie_gym.analysis.actions import action_differences, rollouts_by_action
from genie_gym.analysis.codebook import (
    STATIC_LEVELS,
    CodeUsage,
    StaticToken,
    SwappedReconstructions,
    code_usage,
    patch_changes,
    reconstructions_with_swapped_codes,
    static_token,
)
from genie_gym.analysis.samples import SampledClips
from genie_gym.analysis.uncertainty import (
    IN_DISTRIBUTION,
    NextFrameUncertainty,
    auroc,
    autoexplore,
    autoexplore_maps,
    next_frame_uncertainty,
    out_of_distribution_rewards,
)
from genie_gym.metrics.image import Frames, psnr
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.batched import encode_clips

__all__ = [
    "CodebookFigures",
    "Findings",
    "InspectReport",
    "ModelFigures",
    "Separation",
    "SwapFigures",
    "analyse",
    "swapped_by_kind",
]

NUM_CONTEXTS = 8  # clips from whose first frames every action is rolled out
HELD_STEPS = 8  # steps for which an action is held


@dataclass(frozen=True)
class SwapFigures:
    """Figures of frames decoded from swapped tokens.

    Attributes:
        psnr: PSNR in dB against the frames, mean over frames.
        difference: Mean absolute difference from the reconstruction in pixel levels.
    """

    psnr: float
    difference: float


@dataclass(frozen=True)
class CodebookFigures:
    """Usage of the codebook.

    Attributes:
        codes: Number of codes.
        used: Number of codes chosen at least once.
        perplexity: Effective number of codes.
        idle: Number of codes hardly chosen at the end of training.
        tokens: Number of tokens looked at.
    """

    codes: int
    used: int
    perplexity: float
    idle: int
    tokens: int


@dataclass(frozen=True)
class Separation:
    """How well uncertainty separates two kinds of patches; NaN if there is none of a kind.

    Attributes:
        positive: Mean uncertainty of the first kind, 0 to 2.
        negative: Mean uncertainty of the second kind, 0 to 2.
        auroc: Chance that a patch of the first kind has the larger uncertainty; 0.5 is no relation.
    """

    positive: float
    negative: float
    auroc: float


@dataclass(frozen=True)
class ModelFigures:
    """Figures of an analysis.

    Attributes:
        swapped_codes: By kind of swap, see `SwappedReconstructions`.
        codebook: Usage of the codebook.
        static_token: The static token.
        moving_patches: Uncertainty of the next frame in moving and static patches.
        wrong_patches: Uncertainty of the next frame in patches predicted wrong and right.
        moving_patches_ahead: Uncertainty some frames ahead in moving and static patches.
        reward: Mean AutoExplore reward by kind of frames, see `out_of_distribution_rewards`.
        reward_auroc: By kind, chance that such a clip has a larger reward than one as it is.
        action_differences: Differences of any two actions, (a, a), see `action_differences`.
    """

    swapped_codes: dict[str, SwapFigures]
    codebook: CodebookFigures
    static_token: StaticToken
    moving_patches: Separation
    wrong_patches: Separation
    moving_patches_ahead: Separation
    reward: dict[str, float]
    reward_auroc: dict[str, float]
    action_differences: list[list[float]]


@dataclass(frozen=True)
class InspectReport:
    """Results of an analysis.

    Attributes:
        game: Name of the game.
        source: What the model was analysed on, in words.
        dataset: Folder of the dataset; None if the clips were imagined.
        clips: Number of clips.
        frames_per_clip: Frames of a clip.
        seed: Random seed.
        actions: Meanings of the model's actions.
        figures: The figures.
        page: The HTML file; figures.json is in the same folder.
    """

    game: str
    source: str
    dataset: str | None
    clips: int
    frames_per_clip: int
    seed: int
    actions: list[str]
    figures: ModelFigures
    page: Path

    def to_dict(self) -> dict[str, Any]:
        """Return settings and figures as nested JSON values, None for what is not a number."""
        return {name: value for name, value in to_jsonable(self).items() if name != "page"}

    def __rich__(self) -> Table:
        title, figures = f"{self.game}, analysed on {self.source}", self.figures
        table = Table(title=title, box=box.SIMPLE_HEAD, show_header=False, min_width=len(title))
        for kind, swap in figures.swapped_codes.items():
            name = kind if kind == "reconstruction" else f"each token replaced by its {kind} code"
            table.add_row(f"PSNR: {name}", f"{swap.psnr:.1f} dB")
        table.add_row("codes used; perplexity", f"{figures.codebook.used}; {figures.codebook.perplexity:.0f}")
        for name, found in (
            ("uncertainty: moving, static patches", figures.moving_patches),
            ("uncertainty: patches predicted wrong, right", figures.wrong_patches),
            ("uncertainty further ahead: moving, static patches", figures.moving_patches_ahead),
        ):
            table.add_row(name, f"{_number(found.positive)}, {_number(found.negative)}")
        for kind, reward in figures.reward.items():
            table.add_row(f"AutoExplore reward: {kind}", _number(reward))
        return table


@dataclass(frozen=True)
class Findings:
    """Results of the analysis of one model.

    Attributes:
        clips: Clips it was analysed on.
        tokens: int64 (b, t, n), those of the clips.
        swapped: Frames decoded from swapped tokens.
        usage: Usage of the codebook by the tokens.
        static: The static token.
        next_frame: Uncertainty of the next frame.
        changes: int16 (b, t - 1, side, side), since the previous frame, see `patch_changes`.
        ahead: Uncertainty some frames ahead, float32 (b, m, side, side) of the last m frames, see `autoexplore_maps`.
        changes_ahead: int16 (b, m, side, side), since the last frame that AutoExplore is shown.
        rewards: float32 (b,) by kind of frames, see `out_of_distribution_rewards`.
        rollouts: uint8 (contexts, a, k, s, s, 3), see `rollouts_by_action`.
        other_noise: The same rollouts sampled with other noise.
    """

    clips: SampledClips
    tokens: np.ndarray
    swapped: SwappedReconstructions
    usage: CodeUsage
    static: StaticToken
    next_frame: NextFrameUncertainty
    changes: np.ndarray
    ahead: np.ndarray
    changes_ahead: np.ndarray
    rewards: dict[str, np.ndarray]
    rollouts: Frames
    other_noise: Frames

    def figures(self) -> ModelFigures:
        """Return the figures of the findings."""
        entropy, moving = self.next_frame.entropy, self.changes > STATIC_LEVELS
        reference = self.rewards[IN_DISTRIBUTION]
        return ModelFigures(
            swapped_codes=dict(self._swap_figures()),
            codebook=CodebookFigures(
                len(self.usage.counts), self.usage.used, self.usage.perplexity, self.usage.idle, self.tokens.size
            ),
            static_token=self.static,
            moving_patches=_separation(entropy, moving),
            wrong_patches=_separation(entropy, self.next_frame.wrong),
            moving_patches_ahead=_separation(self.ahead, self.changes_ahead > STATIC_LEVELS),
            reward={kind: float(rewards.mean()) for kind, rewards in self.rewards.items()},
            reward_auroc={
                kind: auroc(rewards, reference) for kind, rewards in self.rewards.items() if kind != IN_DISTRIBUTION
            },
            action_differences=action_differences(self.rollouts, self.other_noise).tolist(),
        )

    def _swap_figures(self) -> Iterator[tuple[str, SwapFigures]]:
        reconstruction = self.swapped.reconstruction
        for kind, shown in swapped_by_kind(self.swapped).items():
            difference = np.abs(shown.astype(np.int16) - reconstruction).mean()
            yield kind, SwapFigures(float(psnr(shown, self.clips.frames).mean()), float(difference))


def swapped_by_kind(swapped: SwappedReconstructions) -> dict[str, Frames]:
    """Return the frames by the name of their kind."""
    return {"reconstruction": swapped.reconstruction, "nearest": swapped.nearest, "furthest": swapped.furthest}


def analyse(checkpoint: Checkpoint, clips: SampledClips, seed: int = 0) -> Findings:
    """Analyse a model on clips of at least five frames."""
    model, side = checkpoint.model, checkpoint.model.tokenizer.config.side
    frames, actions = clips.frames, clips.actions
    tokens = encode_clips(model, frames)
    static = static_token(tokens, frames)
    context = checkpoint.initial_contexts["frames"].shape[1]
    prompts, prev_actions = frames[:NUM_CONTEXTS, :context], actions[:NUM_CONTEXTS, : context - 1]
    ahead, horizon = autoexplore_maps(model, frames, actions), autoexplore(model).horizon
    return Findings(
        clips=clips,
        tokens=tokens,
        swapped=reconstructions_with_swapped_codes(model, frames, static.token),
        usage=code_usage(model, tokens),
        static=static,
        next_frame=next_frame_uncertainty(model, frames, actions),
        changes=patch_changes(frames, side),
        ahead=ahead,
        changes_ahead=patch_changes(frames, side, horizon)[:, -ahead.shape[1] :],
        rewards=out_of_distribution_rewards(model, clips, seed),
        rollouts=rollouts_by_action(checkpoint, prompts, prev_actions, HELD_STEPS, seed=seed),
        other_noise=rollouts_by_action(checkpoint, prompts, prev_actions, HELD_STEPS, seed=seed + 1),
    )


def _separation(values: np.ndarray, positive: np.ndarray) -> Separation:
    positives, negatives = values[positive], values[~positive]
    return Separation(_mean(positives), _mean(negatives), auroc(positives, negatives))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
