"""Training of the head that tells whether an episode ended, alone: everything else of a world model stays as it is.

An episode ends in one step of some hundreds, and often nothing before that step tells that it will be this one rather
than the next: in Airstriker the words GAME OVER stand for 3 or 4 frames until the game ends, and those before the last
one are alike. The last frame itself shows an explosion. So the head sees the frame's tokens, and learns from the ends
of all episodes beside steps drawn from the rest of them, each kind weighted by how many steps there are of it.

Shapes: k clips, m scored frames of each, n tokens a frame, d width of the features, c width of a code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.data import EpisodeDataset
from genie_gym.errors import DataError
from genie_gym.models.heads import FrameTermination
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport, run_training, training_device
from genie_gym.training.stages import token_batch
from genie_gym.training.windows import split_in_two
from genie_gym.utils.precision import autocast, resolve_precision
from genie_gym.utils.progress import tracked
from genie_gym.world_model import WorldModel

__all__ = ["train_termination"]

WINDOW, SCORED = 16, 8  # frames of a clip, and how many of the last ones are learned from
BATCH = 8  # clips encoded at once
THRESHOLD = 0.5  # probability from which a step counts as predicted to end the episode


@dataclass(frozen=True)
class _Clips:
    """What the frozen model makes of clips of one kind.

    Attributes:
        features: float (k, m, n, d), of masked drafts of the scored frames.
        codes: float (k, m, n, c), of these frames.
        terminated: bool (k, m).
        steps: Steps of the datasets that these clips stand for.
    """

    features: Tensor
    codes: Tensor
    terminated: Tensor
    steps: int

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, codes and terminations of some clips."""
        return self.features[rows], self.codes[rows], self.terminated[rows]


def train_termination(
    model: WorldModel, datasets: Sequence[EpisodeDataset], config: TrainerConfig, folder: Path, clips: int
) -> StageReport:
    """Give a world model a head that reads the end of an episode from the frame, and train it alone, in place.

    The metrics are "recall", the share of held-out ends at whose step the probability is above a half; "false_alarms",
    the mean probability of an end at all other steps, as a dream draws with it; and "cross_entropy".

    Args:
        model: The world model.
        datasets: Episodes of its game; those held out by `split` are only validated on.
        config: Length and optimiser; its batches hold as many ends as other clips.
        folder: Folder of the training state; the run is resumable.
        clips: Clips drawn from the steps that are not the last ones of an episode.

    Raises:
        DataError: The game ended no episode that is long enough, on one side of the split.
    """
    device = training_device()
    model.to(device)
    model.dynamics = model.dynamics.with_frame_termination()  # type: ignore[assignment]
    model.dynamics.requires_grad_(False)
    sides = [split_in_two(one) for one in datasets]
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        train, held_out = (
            _encoded(model, datasets, [side[number] for side in sides], config, clips, noisy=number == 0)
            for number in range(2)
        )
    head = model.dynamics.heads.termination
    assert isinstance(head, FrameTermination)

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        drawn = [kind.take(torch.from_numpy(rng.integers(len(kind.features), size=batch))) for kind in train]
        names = ("features", "codes", "terminated")
        return {name: torch.cat(values) for name, values in zip(names, zip(*drawn, strict=True), strict=True)}

    def validate(average: Any) -> dict[str, Any]:
        return _validate(average.head, held_out, config.precision)

    training = _Training(head.requires_grad_(True), train[0].steps / (train[0].steps + train[1].steps))
    report = run_training(training, sample, validate, config, folder, name="termination")
    model.to("cpu").eval().requires_grad_(False)
    return report


class _Training(nn.Module):
    """The head with the loss over batches whose first half are clips of ends.

    Args:
        head: The head.
        share: Share of the steps that clips of ends stand for.
    """

    def __init__(self, head: FrameTermination, share: float):
        super().__init__()
        self.head, self.share = head, share

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.head(batch["features"], batch["codes"]).float()
        losses = F.binary_cross_entropy_with_logits(logits, batch["terminated"].float(), reduction="none")
        ends, others = (half.mean() for half in losses.chunk(2))
        return self.share * ends + (1 - self.share) * others, {"ends": ends.detach(), "others": others.detach()}


@torch.no_grad()
def _validate(head: FrameTermination, kinds: tuple[_Clips, _Clips], precision: str) -> dict[str, float]:
    device = next(head.parameters()).device
    entropy, alarms, recall, steps = 0.0, 0.0, 0.0, sum(kind.steps for kind in kinds)
    for kind in kinds:
        with autocast(resolve_precision(precision, device), device):
            parts = zip(kind.features.split(BATCH), kind.codes.split(BATCH), strict=True)
            logits = torch.cat([head(*(x.to(device) for x in part)).float().cpu() for part in parts])
        terminated, probabilities = kind.terminated, logits.sigmoid()
        losses = F.binary_cross_entropy_with_logits(logits, terminated.float(), reduction="none")
        entropy += kind.steps / steps * losses.mean().item()
        alarms += kind.steps / steps * (probabilities * ~terminated).mean().item()
        if terminated.any():
            recall = (probabilities[terminated] > THRESHOLD).float().mean().item()
    return {"cross_entropy": entropy, "recall": recall, "false_alarms": alarms}


def _encoded(
    model: WorldModel,
    datasets: Sequence[EpisodeDataset],
    episodes: Sequence[np.ndarray],
    config: TrainerConfig,
    clips: int,
    noisy: bool,
) -> tuple[_Clips, _Clips]:
    """Encode the ends of episodes, and clips drawn from the rest of them; `noisy` as in the dynamics' training."""
    model.tokenizer.eval()
    model.dynamics.train(noisy)
    kinds = []
    for name, (windows, steps) in (
        ("ends of episodes", _ends(datasets, episodes)),
        ("other clips", _others(datasets, episodes, config.seed, clips)),
    ):
        batches = [windows[i : i + BATCH] for i in range(0, len(windows), BATCH)]
        shown = tracked(batches, f"encoding {name}", len(batches), unit="batches")
        parts = [_features(model, [_read(*place) for place in batch], config.precision) for batch in shown]
        features, codes, terminated = (torch.cat(part) for part in zip(*parts, strict=True))
        kinds.append(_Clips(features, codes, terminated, steps))
    model.dynamics.eval()
    ends, others = kinds
    return ends, others


Window = tuple[EpisodeDataset, int, int]  # a dataset, an episode, and the frame after the window's last one


def _ends(datasets: Sequence[EpisodeDataset], episodes: Sequence[np.ndarray]) -> tuple[list[Window], int]:
    """Windows that end with an episode that the game ended, and their number of scored steps."""
    windows = [
        (one, int(index), int(one.lengths[index]))
        for one, own in zip(datasets, episodes, strict=True)
        for index in own
        if one.steps(int(index))[2] and one.lengths[index] >= WINDOW
    ]
    if not windows:
        folders = ", ".join(str(one.folder) for one in datasets)
        raise DataError(
            f"no episode of {WINDOW} frames or more in {folders} was ended by the game, or none on one side of the "
            "split; record more, with a larger --max-steps"
        )
    return windows, SCORED * len(windows)


def _others(
    datasets: Sequence[EpisodeDataset], episodes: Sequence[np.ndarray], seed: int, clips: int
) -> tuple[list[Window], int]:
    """Windows drawn evenly from what `_ends` leaves, and the number of steps that they are drawn from."""
    places = [(one, int(index)) for one, own in zip(datasets, episodes, strict=True) for index in own]
    room = np.array([max(int(one.lengths[i]) - SCORED * one.steps(i)[2] - WINDOW + 1, 0) for one, i in places])
    total = sum(int(one.lengths[i]) - 1 for one, i in places) - SCORED * sum(one.steps(i)[2] for one, i in places)
    if not room.sum():
        raise DataError(f"episodes need {WINDOW + SCORED} frames or more to learn from; record longer ones")
    drawn = np.sort(np.random.default_rng(seed).integers(room.sum(), size=clips))
    last = np.cumsum(room)
    which = np.searchsorted(last, drawn, side="right")
    stops = drawn - np.append(0, last)[which] + WINDOW
    return [(*places[i], int(stop)) for i, stop in zip(which, stops, strict=True)], total


def _read(dataset: EpisodeDataset, episode: int, stop: int) -> dict[str, np.ndarray]:
    """Return a window as `SequenceDataset` returns many."""
    actions, rewards, ended = dataset.steps(episode)
    start = stop - WINDOW
    terminated = np.zeros(WINDOW - 1, bool)
    terminated[-1] = ended and stop - 1 == len(actions)
    return {
        "frames": dataset.frames(episode, start, stop),
        "actions": actions[start : stop - 1],
        "rewards": rewards[start : stop - 1],
        "terminated": terminated,
    }


@torch.no_grad()
def _features(model: WorldModel, windows: list[dict[str, np.ndarray]], precision: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, codes and terminations of the scored frames of windows."""
    clip = {name: np.stack([one[name] for one in windows]) for name in windows[0]}
    c = model.dynamics.config
    seen = None if c.predicted_frames is None else min(c.predicted_frames + c.window, WINDOW)
    batch = token_batch(model.tokenizer, clip, 0, WINDOW, precision, seen)
    device = batch["tokens"].device
    with autocast(resolve_precision(precision, device), device):
        features = model.dynamics.noisy_features(batch, SCORED)
    codes = model.dynamics.codebook[batch["tokens"][:, -SCORED:]]
    return features.cpu(), codes.to(features.dtype).cpu(), batch["terminated"][:, -SCORED:].cpu()
