"""What a training came to on held-out episodes, in words, and what to do about it."""

import math
from dataclasses import dataclass

from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport

__all__ = ["Verdict", "judge", "minutes_needed"]

MARGIN = 0.5  # dB by which a model must beat repeating the last frame to be worth playing
STILL = 45.0  # dB that repeating the last frame has where hardly anything moves
FEW_STEPS = 0.25  # of the recipe's own steps
FEW_CODES, GOOD_PICTURES = 0.1, 35.0  # few codes are enough for pictures of so many dB
DREAMS, TOKENIZERS = ("dynamics", "joint"), ("tokenizer", "decoder")  # stages that have these figures


@dataclass(frozen=True)
class Verdict:
    """What a training came to.

    Attributes:
        psnr: PSNR of the mean error four steps ahead on held-out episodes, in dB.
        repeat_psnr: That of the last frame repeated.
        lines: Findings in words, each with what to do where something is wrong.
        good: Whether nothing is wrong.
    """

    psnr: float
    repeat_psnr: float
    lines: tuple[str, ...]
    good: bool

    def __str__(self) -> str:
        return "\n".join(self.lines)


def judge(
    stages: dict[str, StageReport], recipes: dict[str, TrainerConfig], codes: int, again: dict[str, str], frames: int
) -> Verdict | None:
    """Judge a finished training by the last validations of its stages.

    Returns None for one that an earlier version finished, which did not compare dreams with anything.

    Args:
        stages: How each stage ended.
        recipes: The recipe of each with as many steps as it should have.
        codes: Codes of the tokenizer.
        again: How to train each stage longer, in words.
        frames: Frames that were trained on.
    """
    last = next(stages[name].metrics for name in DREAMS if name in stages)
    if not {"psnr", "repeat_psnr"} <= last.keys():
        return None
    findings = [
        _against_repeating(stages, recipes, frames),
        (_by_game(last), True),
        *(_reconstruction(stages[name], codes) for name in TOKENIZERS if name in stages),
        *(_latent_actions(stages[name].metrics) for name in ("latent_actions", "joint") if name in stages),
        *(_length(name, stages[name].steps, recipes[name], again[name]) for name in stages),
    ]
    lines = tuple(line for line, _ in findings if line)
    return Verdict(last["psnr"], last["repeat_psnr"], lines, all(good for _, good in findings))


def _against_repeating(
    stages: dict[str, StageReport], recipes: dict[str, TrainerConfig], frames: int
) -> tuple[str, bool]:
    """The model's dreams against a screen that stands still."""
    name = next(name for name in DREAMS if name in stages)
    psnr, repeat = (stages[name].metrics[key] for key in ("psnr", "repeat_psnr"))
    figures = f"4 steps ahead on held-out episodes: {psnr:.1f} dB, where repeating the last frame has {repeat:.1f} dB"
    if psnr >= repeat + MARGIN:
        return f"{figures}: better by {psnr - repeat:.1f} dB", True
    word = "no better than repeating" if psnr < repeat else "hardly better"
    if repeat >= STILL:
        return f"{figures}: {word}, as hardly anything moves in them; record play in which more happens", False
    pictures = next((stages[one].metrics.get("psnr") for one in TOKENIZERS if one in stages), None)
    if pictures is not None and pictures < repeat + MARGIN:
        why = f"the tokenizer draws frames with {pictures:.1f} dB only, which no dynamics can exceed; train it longer"
        return f"{figures}: {word}: {why}", False
    if any(_few(stages[one].steps, recipes[one]) for one in stages):
        return f"{figures}: {word}: it was trained too briefly, see below", False
    more = f"record more or more varied play ({frames:,} frames now), or train longer"
    return f"{figures}: {word}; {more}", False


def _by_game(metrics: dict[str, float]) -> str:
    """Those figures of each game, if there are many."""
    games = [name.removeprefix("psnr ") for name in metrics if name.startswith("psnr ")]
    each = (f"{game} {metrics[f'psnr {game}']:.1f} ({metrics[f'repeat_psnr {game}']:.1f})" for game in games)
    return f"by game, in dB (repeating): {', '.join(each)}" if games else ""


def _reconstruction(report: StageReport, codes: int) -> tuple[str, bool]:
    """How well frames are drawn from their tokens, and whether the codebook is alive."""
    psnr, used = report.metrics["psnr"], int(report.metrics["codes"])
    figures = f"tokenizer: {psnr:.1f} dB on held-out frames, {used:,} of {codes:,} codes in use"
    if used >= FEW_CODES * codes or psnr >= GOOD_PICTURES:
        return figures, True
    advice = "the others are dead; record more varied pictures, or train from the start with other data or another seed"
    return f"{figures}: {advice}", False


def _latent_actions(metrics: dict[str, float]) -> tuple[str, bool]:
    """Whether latent actions tell anything apart."""
    used = int(metrics.get("latent_codes", metrics.get("codes", 0)))
    if used > 1:
        return f"latent actions: {used} in use on held-out episodes", True
    return (
        "latent actions: a single one is in use, so that buttons will do nothing; train longer, or record play in "
        "which more moves",
        False,
    )


def _length(name: str, steps: int, recipe: TrainerConfig, again: str) -> tuple[str, bool]:
    """Whether a stage had enough optimiser steps; nothing is said if it had."""
    if not _few(steps, recipe):
        return "", True
    title = name.replace("_", " ")
    return f"{title}: {steps:,} optimiser steps are few, its recipe has {recipe.steps:,}; {again}", False


def _few(steps: int, recipe: TrainerConfig) -> bool:
    return recipe.steps is not None and steps < FEW_STEPS * recipe.steps


def minutes_needed(stages: dict[str, StageReport], recipes: dict[str, TrainerConfig], minutes: float) -> int:
    """Return the minutes in which every stage would have had the steps of its recipe."""
    shares = [(recipes[name].steps or 0) / max(report.steps, 1) for name, report in stages.items()]
    return math.ceil(minutes * max([1.0, *shares]))
