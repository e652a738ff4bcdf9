"""Evaluations of world models as plain figures, and the few of them that result pages show."""

from dataclasses import asdict
from typing import Any

from benchmarks.common.results import Figures
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.evaluation.results import EvalReport
from genie_gym.world_model import Checkpoint, SamplingConfig

__all__ = ["evaluate_model", "fourth_step", "predictions"]


def evaluate_model(
    checkpoint: Checkpoint, dataset: EpisodeDataset, *, sampling: SamplingConfig | None = None, **options: Any
) -> EvalReport:
    """Evaluate a world model with `genie_gym.evaluation.evaluate.evaluate`.

    Args:
        checkpoint: The world model.
        dataset: Episodes of its game.
        sampling: How frames are sampled; the checkpoint's own way by default.
        options: Other options of `evaluate`.
    """
    if sampling is not None:
        names = {"steps": "sampling_steps"}
        options |= {names.get(name, name): value for name, value in asdict(sampling).items()}
    return evaluate(checkpoint, dataset, **options)


def predictions(figures: Figures) -> dict[str, tuple[Figures, Figures]]:
    """Return the frame metrics and the controllability of both ways to predict: in a single pass, autoregressively."""
    return {
        "single_pass": (figures["single_pass"], figures["single_pass_controllability"]),
        "autoregressive": (figures["prediction"], figures["controllability"]),
    }


def fourth_step(figures: Figures) -> dict[str, Figures]:
    """Return PSNR, SSIM, PSNR of moving pixels and delta-PSNR at t = 4 of both ways to predict."""
    return {
        way: {name: metrics[name][3] for name in ("psnr", "ssim", "moving_psnr")}
        | {"delta_psnr": controllability["delta_psnr"]}
        for way, (metrics, controllability) in predictions(figures).items()
    }
