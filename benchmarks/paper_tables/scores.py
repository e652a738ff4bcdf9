"""From an evaluation to the few figures of a table's row: PSNR, SSIM, delta-PSNR, and a Frechet distance."""

from typing import Any

import numpy as np
import torch

from genie_gym.data import Clips, Recording
from genie_gym.frames import from_model, to_model
from genie_gym.metrics import frechet_distance, psnr, ssim
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.pipeline.long_dreams import thumbnails
from genie_gym.world_model import Sampling

__all__ = ["METRICS", "SAMPLING", "autoregressive", "latent_actions", "next_frame_figures", "single_pass", "tokenizer"]

Row = dict[str, float | None]

# The authors' 25 sampling steps end in the likeliest code of each token, whatever the steps before drew.
SAMPLING = Sampling(steps=1, temperature=0.0)
METRICS = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "delta_psnr": "delta-PSNR, dB",
    "frechet": "Frechet distance",
    "fid": "FID",
}
TOGETHER = 32  # clips in one forward pass


def tokenizer(figures: dict[str, Any]) -> Row:
    """The clips encoded and decoded."""
    seen = {name: figures["reconstruction"][name] for name in ("psnr", "ssim", "frechet")}
    return seen | _fid(figures, "reconstruction")


def single_pass(figures: dict[str, Any]) -> Row:
    """All frames of a clip predicted in one pass, means over frames; delta-PSNR at t = 4."""
    return _means(figures["single_pass"], figures["single_pass"]["control"]) | _fid(figures, "single_pass")


def autoregressive(figures: dict[str, Any]) -> Row:
    """Each frame predicted from those predicted before it."""
    return _means(figures["prediction"], figures["control"]) | _fid(figures, "prediction")


def latent_actions(figures: dict[str, Any]) -> Row:
    """The latent action model's own next frames."""
    return figures["next_frame"]


def _means(ahead: dict[str, Any], control: dict[str, Any]) -> Row:
    return {
        "psnr": float(np.mean(ahead["psnr"])),
        "ssim": float(np.mean(ahead["ssim"])),
        "delta_psnr": control["delta_psnr"],
        "delta_psnr_error": control["delta_psnr_error"],  # over clips; in the JSON alone
        "frechet": ahead["frechet"],
    }


def _fid(figures: dict[str, Any], what: str) -> Row:
    """FID where it was asked for."""
    return {"fid": figures["perceptual"][what]["fid"]} if figures["perceptual"] else {}


@torch.inference_mode()
def next_frame_figures(model: LatentActionModel, recording: Recording, length: int, clips: int) -> Row:
    """How close a latent action model draws each next frame from the real ones before it and the code it found.

    Args:
        length: frames in a clip; with that of `evaluate`, the clips are the same.
        clips: how many.
    """
    frames = Clips(recording, length).sample(np.random.default_rng(0), clips)["frames"]
    device, drawn = model.codebook.codes.device, []
    for part in torch.from_numpy(frames).split(TOGETHER):
        pictures = to_model(part.to(device))
        predicted = model.predict(pictures[:, :-1], model.codes(pictures))
        drawn.append(from_model(predicted).cpu().numpy())
    shown, real = np.concatenate(drawn), frames[:, 1:]
    return {
        "psnr": float(psnr(shown, real).mean()),
        "ssim": float(np.mean([ssim(shown[:, i], real[:, i]) for i in range(length - 1)])),
        "frechet": frechet_distance(thumbnails(shown), thumbnails(real)),
    }
