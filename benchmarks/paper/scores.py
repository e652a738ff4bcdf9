"""The few figures of a table's row, from an evaluation: PSNR, SSIM, delta-PSNR, and a Frechet distance."""

from typing import Any

import numpy as np
import torch

from benchmarks.common.evaluation import predictions
from benchmarks.common.results import Figures
from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.evaluation.frame_metrics import thumbnails
from genie_gym.metrics.image import frechet_distance, psnr, ssim
from genie_gym.models.lam import LatentActionModel
from genie_gym.utils.images import from_model, to_model
from genie_gym.world_model import SamplingConfig

__all__ = [
    "CONTEXT",
    "METRICS",
    "SAMPLING",
    "autoregressive",
    "latent_actions",
    "next_frame_figures",
    "single_pass",
    "tokenizer",
]

Row = dict[str, float | None]

# The authors' 25 sampling steps end in the likeliest token everywhere, whatever the steps before sampled.
SAMPLING = SamplingConfig(steps=1, temperature=0.0)
METRICS = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "delta_psnr": "delta-PSNR, dB",
    "frechet": "Frechet distance",
    "fid": "FID",
}
CONTEXT = 2  # real frames that a clip begins with
BATCH_SIZE = 32  # clips in one forward pass


def tokenizer(figures: Figures) -> Row:
    """Return the row of the clips encoded and decoded."""
    metrics = {name: figures["reconstruction"][name] for name in ("psnr", "ssim", "frechet")}
    return metrics | _fid(figures, "reconstruction")


def single_pass(figures: Figures) -> Row:
    """Return the row of all frames of a clip predicted in one pass: means over frames, delta-PSNR at t = 4."""
    return _means(*predictions(figures)["single_pass"]) | _fid(figures, "single_pass")


def autoregressive(figures: Figures) -> Row:
    """Return the row of each frame predicted from those predicted before it."""
    return _means(*predictions(figures)["autoregressive"]) | _fid(figures, "prediction")


def latent_actions(figures: Figures) -> Row:
    """Return the row of the next frames that the latent action model itself predicts."""
    return figures["next_frame"]


def _means(metrics: Figures, controllability: Figures) -> Row:
    return {
        "psnr": float(np.mean(metrics["psnr"])),
        "ssim": float(np.mean(metrics["ssim"])),
        "delta_psnr": controllability["delta_psnr"],
        "delta_psnr_error": controllability["delta_psnr_error"],  # over clips; in the JSON alone
        "frechet": metrics["frechet"],
    }


def _fid(figures: dict[str, Any], part: str) -> Row:
    """Return FID if it was asked for."""
    return {"fid": figures["perceptual"][part]["fid"]} if figures["perceptual"] else {}


@torch.inference_mode()
def next_frame_figures(model: LatentActionModel, dataset: EpisodeDataset, length: int, clips: int) -> Row:
    """Score a latent action model's prediction of each next frame from the real ones before it and the inferred action.

    Args:
        length: Frames in a clip; with the length that `evaluate` uses, the clips are the same.
        clips: Number of clips.
    """
    frames = SequenceDataset(dataset, length).sample(np.random.default_rng(0), clips)["frames"]
    device, predicted = model.codebook.codes.device, []
    for part in torch.from_numpy(frames).split(BATCH_SIZE):
        images = to_model(part.to(device))
        predicted.append(from_model(model.predict(images[:, :-1], model.codes(images))).cpu().numpy())
    shown, real = np.concatenate(predicted), frames[:, 1:]
    return {
        "psnr": float(psnr(shown, real).mean()),
        "ssim": float(np.mean([ssim(shown[:, i], real[:, i]) for i in range(length - 1)])),
        "frechet": frechet_distance(thumbnails(shown), thumbnails(real)),
    }
