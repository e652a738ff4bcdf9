"""What a refit brought: the model with and without it on the same held-out play, and the places that play reached."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym.data import Clips, Recording
from genie_gym.errors import DataError
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.figures import plain
from genie_gym.pipeline.places import compare
from genie_gym.rewards import AutoExplore
from genie_gym.world_model import WorldModel
from genie_gym.world_model.weights import load_weights

__all__ = ["SCORE", "count_places", "main_figures", "score_models", "scores_of", "uncertainty"]

SCORE = "score on "  # begins the name of the part of a round that scores the models on some play
TOGETHER = 64  # windows scored at once


def score_models(
    models: dict[str, Path],
    recording: Recording,
    episodes: np.ndarray,
    *,
    clips: int,
    seed: int,
    device: str,
    out: Path,
) -> dict[str, Any]:
    """Figures of several checkpoints on the same clips.

    Args:
        models: checkpoint folders by name.
        recording, episodes: what they are scored on.
        clips: how many pieces of it; see `evaluate`.
        out: folder for strips of pictures, one folder in it for each model.

    Returns:
        for each name what `evaluate` gives without long dreams, and "uncertainty", see there; JSON values.
    """
    figures = {}
    for name, folder in models.items():
        loaded = load_weights(str(folder), device, "auto")
        scored = evaluate(loaded, recording, episodes=episodes, clips=clips, seed=seed, long_steps=0, out=out / name)
        figures[name] = scored | {"uncertainty": uncertainty(loaded.model, recording, episodes, clips, seed)}
    return plain(figures)


def uncertainty(model: WorldModel, recording: Recording, episodes: np.ndarray, windows: int, seed: int) -> float:
    """AutoExplore's reward of a model, mean over random windows of recorded play: how unsure it is of that play."""
    reward = AutoExplore(model)
    drawn = Clips(recording, reward.window, episodes).sample(np.random.default_rng(seed), windows)
    parts = zip(
        torch.from_numpy(drawn["frames"]).split(TOGETHER),
        torch.from_numpy(drawn["actions"]).split(TOGETHER),
        strict=True,
    )
    return float(torch.cat([reward.score(*part).reward for part in parts]).mean())


def count_places(folders: list[Path]) -> dict[str, Any]:
    """Places by recording and run, see `places.compare`; or under "error" why they cannot be counted.

    A recording of another version of the game cannot be played again, which is no reason to end a refit.
    """
    try:
        found = compare(folders)
    except DataError as error:
        return {"error": str(error)}
    return {one.label: {"frames": one.frames, "pictures": one.pictures, "positions": one.positions} for one in found}


def scores_of(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of a round's figures those of the models, by the play they were scored on."""
    return {name.removeprefix(SCORE): part for name, part in figures.items() if name.startswith(SCORE)}


def main_figures(scored: dict[str, Any]) -> dict[str, float | None]:
    """The few figures of one model that a table shows."""
    prediction, control = scored["prediction"], scored["control"]
    return {
        "PSNR of reconstruction, dB": scored["reconstruction"]["psnr"],
        "PSNR t = 1, dB": prediction["psnr"][0],
        "PSNR t = 4, dB": prediction["psnr"][3],
        "PSNR t = 4, moving pixels, dB": prediction["moving_psnr"][3],
        "SSIM t = 4": prediction["ssim_t4"],
        "delta-PSNR t = 4, dB": control["delta_psnr"],
        "standard error": control["delta_psnr_error"],
        "intrinsic reward": scored["uncertainty"],
    }
