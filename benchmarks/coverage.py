"""What recordings show of another one, frame by frame: what a refit on them could teach, and what it did."""

from pathlib import Path

import numpy as np
import torch
from arms import Figures
from einops import rearrange

from genie_gym.data import Recording
from genie_gym.frames import from_model, to_model
from genie_gym.metrics import psnr
from genie_gym.pipeline.places import picture_keys
from genie_gym.world_model import Checkpoint

__all__ = ["KINDS", "by_kind", "covered"]

KINDS = ("like one of its first play", "come upon since", "never come upon")  # frames, to a model and its refits
DRAWN = 600  # frames, of thousands that are much alike
TOGETHER = 50


def covered(shown: list[Path], asked: Path) -> float:
    """The share of a recording's frames that look like one in other recordings."""
    return float(np.isin(_looks([asked]), _looks(shown)).mean())


def by_kind(test: Path, first: Path, since: list[Path], models: dict[str, Path], seed: int) -> Figures:
    """How well models draw frames of a test again from their tokens, by whether they had come upon the like.

    Args:
        test, first, since: recordings: that the frames are drawn from, that the first model was trained on, and that
            it was refitted on.
        models: checkpoints by name.
        seed: draws the frames.

    Returns:
        for each of KINDS its "share" of the frames, and for each model the mean PSNR in dB, None where there are none.
    """
    frames = np.concatenate([episode.frames for episode in Recording(test).episodes()])
    frames = frames[np.random.default_rng(seed).permutation(len(frames))[:DRAWN]]
    old, new = (np.isin(picture_keys(frames), _looks(shown)) for shown in ([first], since))
    quality = {name: _drawn_again(checkpoint, frames) for name, checkpoint in models.items()}
    return {
        kind: {"share": float(which.mean())}
        | {name: float(each[which].mean()) if which.any() else None for name, each in quality.items()}
        for kind, which in zip(KINDS, (old, new & ~old, ~new & ~old), strict=True)
    }


def _looks(recordings: list[Path]) -> np.ndarray:
    """Of every frame a key that it shares with those that look like it."""
    return np.concatenate([picture_keys(e.frames) for folder in recordings for e in Recording(folder).episodes()])


@torch.inference_mode()
def _drawn_again(checkpoint: Path, frames: np.ndarray) -> np.ndarray:
    """PSNR in dB of frames uint8 (n, 64, 64, 3), each coded and drawn by itself: float64 (n,)."""
    tokenizer = Checkpoint.load(checkpoint).model.tokenizer
    parts = rearrange(to_model(torch.from_numpy(frames)), "n k h w -> n 1 k h w").split(TOGETHER)
    drawn = torch.cat([from_model(tokenizer.decode(tokenizer.encode(part))) for part in parts])
    return psnr(drawn[:, 0].numpy(), frames)
