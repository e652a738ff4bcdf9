"""Which frames of a test dataset were visited in other datasets, and how well a tokenizer reconstructs them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange

from benchmarks.common.results import Figures
from genie_gym.data import EpisodeDataset
from genie_gym.exploration.coverage import Position, StateCoverage, cell_keys, compare_coverage, replay_positions
from genie_gym.metrics.image import psnr
from genie_gym.utils.images import from_model, to_model
from genie_gym.world_model import Checkpoint

__all__ = [
    "VISITS",
    "count_states",
    "covered_share",
    "quality_by_visit",
    "replayed_positions",
    "scrolled_pixels",
    "visited_cells",
]

VISITS = ("visited before the first round", "first visited during the rounds", "never visited")
MAX_FRAMES = 600  # to reconstruct; most of the thousands are much alike
BATCH_SIZE = 50


def count_states(data: Path, frames: int) -> Figures:
    """Return the number of visited cells and of positions of the player in the first frames of a dataset."""
    (report,) = compare_coverage([data], frames=frames)
    return {name: getattr(report, name) for name in ("frames", "visited_cells", "positions")}


def visited_cells(data: Path) -> int:
    """Return the number of visited cells in all frames of a dataset."""
    coverage = StateCoverage()
    for episode in EpisodeDataset(data).episodes():
        coverage.add(episode.frames)
    return len(coverage)


def replayed_positions(data: Path) -> list[Position]:
    """Return the distinct positions of the player in a recorded dataset, in ascending order."""
    dataset = EpisodeDataset(data)
    found = replay_positions(dataset, range(len(dataset)))
    return sorted({one for positions in found for one in positions or ()})


def scrolled_pixels(positions: Iterable[Sequence[int]]) -> int:
    """Return how far the levels of Super Mario Bros. were scrolled: of each level the most, summed, in pixels."""
    furthest: dict[tuple[int, ...], int] = {}
    for high, low, *level in positions:
        furthest[tuple(level)] = max(furthest.get(tuple(level), 0), 256 * high + low)
    return sum(furthest.values())


def covered_share(visited: Sequence[Path], test: Path) -> float:
    """Return the share of the frames of a test dataset whose cells were visited in other datasets."""
    return float(np.isin(_keys_of([test]), _keys_of(visited)).mean())


def quality_by_visit(test: Path, before: Path, during: Sequence[Path], models: dict[str, Path], seed: int) -> Figures:
    """Measure how well tokenizers reconstruct frames of a test dataset, by when such frames were first visited.

    Args:
        test: Dataset that the frames are drawn from.
        before: Dataset that the first model was trained on.
        during: Datasets that it was refitted on.
        models: Checkpoints by name.
        seed: Random seed of the frames.

    Returns:
        For each of `VISITS` the "share" of its frames, and for each model their mean PSNR in dB; None without frames.
    """
    frames = np.concatenate([episode.frames for episode in EpisodeDataset(test).episodes()])
    frames = frames[np.random.default_rng(seed).permutation(len(frames))[:MAX_FRAMES]]
    old, new = (np.isin(cell_keys(frames), _keys_of(datasets)) for datasets in ([before], during))
    quality = {name: _reconstruction_psnr(checkpoint, frames) for name, checkpoint in models.items()}
    return {
        visit: {"share": float(chosen.mean())}
        | {name: float(values[chosen].mean()) if chosen.any() else None for name, values in quality.items()}
        for visit, chosen in zip(VISITS, (old, new & ~old, ~new & ~old), strict=True)
    }


def _keys_of(datasets: Sequence[Path]) -> np.ndarray:
    """Return the cell of every frame: uint64 (n,)."""
    return np.concatenate([cell_keys(e.frames) for folder in datasets for e in EpisodeDataset(folder).episodes()])


@torch.inference_mode()
def _reconstruction_psnr(checkpoint: Path, frames: np.ndarray) -> np.ndarray:
    """Return the PSNR in dB of frames uint8 (n, s, s, 3), each encoded and decoded by itself: float64 (n,)."""
    tokenizer = Checkpoint.load(checkpoint).model.tokenizer
    parts = rearrange(to_model(torch.from_numpy(frames)), "n k h w -> n 1 k h w").split(BATCH_SIZE)
    reconstructed = torch.cat([from_model(tokenizer.decode(tokenizer.encode(part))) for part in parts])
    return psnr(reconstructed[:, 0].numpy(), frames)
