"""Scores of world models on held-out episodes, and the state coverage of what was collected."""

import time
from pathlib import Path

import numpy as np
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.errors import GenieGymError
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.exploration.coverage import compare_coverage
from genie_gym.refitting.results import Coverage, ModelScore
from genie_gym.rewards import AutoExplore
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import WorldModel
from genie_gym.world_model.resolve import load_checkpoint

__all__ = ["count_coverage", "score_models", "uncertainty"]

BATCH = 64  # windows in one forward pass


def score_models(
    models: dict[str, Path],
    dataset: EpisodeDataset,
    episodes: np.ndarray,
    *,
    clips: int,
    seed: int,
    device: str,
    out: Path,
) -> dict[str, ModelScore]:
    """Score several checkpoints on the same clips.

    Args:
        models: Checkpoint folders by name.
        dataset: Dataset to score on.
        episodes: Indices of the episodes to use.
        clips: Number of clips.
        seed: Random seed.
        device: Device.
        out: Folder for images of predictions, with a folder in it for each model.

    Returns:
        The scores by name.
    """
    scores = {}
    for name, folder in models.items():
        loaded = load_checkpoint(folder, device)
        report = evaluate(loaded, dataset, episodes=episodes, clips=clips, seed=seed, long_steps=0, out=out / name)
        unsure = uncertainty(loaded.model, dataset, episodes, windows=clips, seed=seed)
        scores[name] = ModelScore(report.to_dict(), to_jsonable(unsure))
    return scores


def uncertainty(model: WorldModel, dataset: EpisodeDataset, episodes: np.ndarray, windows: int, seed: int) -> float:
    """Return the mean AutoExplore reward, 0 to 2, of random windows of recorded episodes.

    Args:
        model: World model whose uncertainty is measured.
        dataset: Dataset to draw windows from.
        episodes: Indices of the episodes to use.
        windows: Number of windows.
        seed: Random seed.
    """
    reward = AutoExplore(model)
    drawn = SequenceDataset(dataset, reward.window, episodes).sample(np.random.default_rng(seed), windows)
    batches = zip(
        torch.from_numpy(drawn["frames"]).split(BATCH),
        torch.from_numpy(drawn["actions"]).split(BATCH),
        strict=True,
    )
    return float(torch.cat([reward.score(*batch).reward for batch in batches]).mean())


def count_coverage(folders: list[Path]) -> Coverage:
    """Measure the state coverage of some datasets, see `compare_coverage`.

    Episodes of another version of the game, for example, cannot be replayed. That is reported, as it is no reason to
    end a refit.
    """
    started = time.monotonic()
    try:
        runs, error = tuple(compare_coverage(folders)), None
    except GenieGymError as problem:
        runs, error = (), str(problem)
    return Coverage(round(time.monotonic() - started, 1), runs, error)
