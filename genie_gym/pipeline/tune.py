"""Tuning a world model on old and new play: first the decoder, then the dynamics, from the weights it has."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym.checks import more_than_zero
from genie_gym.data import Clips, JoinedClips, Recording, split
from genie_gym.errors import ConfigError, DataError
from genie_gym.fit import FitConfig, FitReport, fit_decoder, fit_dynamics, preset
from genie_gym.pipeline.provenance import code_version
from genie_gym.pipeline.windows import STARTS, draw_starts, usable_lengths
from genie_gym.world_model import Checkpoint

__all__ = ["TuneConfig", "TuneReport", "tune"]


@dataclass(frozen=True)
class TuneConfig:
    """How a world model is tuned.

    Attributes:
        decoder_steps: optimiser steps of the tokenizer's decoder; the paper's 1,000.
        dynamics_steps: of the dynamics; the paper takes 10,000 with larger models and batches.
        lr: peak learning rate as a share of the one the preset trains with from scratch: the weights are good already.
        new_share: of the clips trained on, the share that comes from new recordings, if there are old ones.
        seed: of everything random.

    Raises:
        ConfigError: a value out of range.
    """

    decoder_steps: int = 1000
    dynamics_steps: int = 3000
    lr: float = 0.3
    new_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.decoder_steps < 1 or self.dynamics_steps < 1:
            raise ConfigError(f"steps must be 1 or more; got {self.decoder_steps} and {self.dynamics_steps}")
        more_than_zero(lr=self.lr)
        if not 0 <= self.new_share <= 1:
            raise ConfigError(f"new_share must lie in [0, 1]; got {self.new_share}")


@dataclass(frozen=True)
class TuneReport:
    """The tuned checkpoint, None if stopped before it could be made, and how each stage ended."""

    checkpoint: Checkpoint | None
    decoder: FitReport
    dynamics: FitReport | None = None


def tune(
    checkpoint: Checkpoint,
    new: Sequence[Recording],
    config: TuneConfig,
    folder: Path,
    *,
    old: Sequence[Recording] = (),
    about: str = "",
) -> TuneReport:
    """Tunes a checkpoint's model in place; the same call goes on where an interrupted one stopped.

    Encoder and codebook keep their weights, so that tokens keep their meaning for the dynamics (paper section 4). The
    recipes are those of the preset that the checkpoint was made with, with other steps and learning rate.

    Args:
        checkpoint: loaded for this alone; of its pieces of real play, half make room for new ones.
        new: recordings of the same game, each of which is drawn from as often as the others; the last one gives new
            pieces of real play. Held-out episodes (`data.split`) are validated on only.
        config: how long and how fast.
        folder: for the state and TensorBoard's events.
        old: recordings that the model knows, drawn from by their numbers of frames.
        about: where the new recordings come from, for the provenance.

    Raises:
        DataError: a recording has too few or too short episodes, or other actions than the others.
    """
    recipe, model = preset(checkpoint.provenance.get("preset", "tiny")), checkpoint.model
    play = _Play(new, old, config.new_share)
    pictures, length = _gently(recipe.fit_tokenizer, config, config.decoder_steps), recipe.clip_tokenizer
    first = fit_decoder(model.tokenizer, play.train(length), play.held_out(length), pictures, folder / "decoder")
    if not first.finished:
        return TuneReport(None, first)

    lengths, window = usable_lengths(recipe, play.longest)
    train, held_out = play.train(window), play.held_out(lengths[0])
    steps = _gently(recipe.fit_dynamics, config, config.dynamics_steps)
    model.dynamics.requires_grad_(True)
    second = fit_dynamics(model.dynamics, model.tokenizer, train, held_out, steps, folder / "dynamics", lengths)
    if not second.finished:
        return TuneReport(None, first, second)

    starts = _starts(checkpoint, new[-1], split(new[-1])[0], config.seed)
    drawn = replace(config, new_share=play.new_share)
    provenance = _provenance(checkpoint.provenance, new, about, drawn, first, second)
    frozen = model.cpu().eval().requires_grad_(False)
    return TuneReport(replace(checkpoint, model=frozen, starts=starts, provenance=provenance), first, second)


class _Play:
    """Recordings as training and validation sets.

    Attributes:
        longest: frames that an episode of every recording has at least.
        new_share: of the clips trained on, the share that comes from new recordings.
    """

    def __init__(self, new: Sequence[Recording], old: Sequence[Recording], new_share: float):
        self._recordings = [*new, *old]
        self._sides = [split(one) for one in self._recordings]
        lengths = [one.lengths[train] for one, (train, _) in zip(self._recordings, self._sides, strict=True)]
        for one, own in zip(self._recordings, lengths, strict=True):
            if not len(own):
                raise DataError(f"{one.folder} has no episode to train on, only {len(one)} to hold out; record more")
        self.longest = min(int(own.max()) for own in lengths)
        self.new_share = new_share if old else 1.0
        frames = np.array([own.sum() for own in lengths[len(new) :]], float)
        self._shares = [*[self.new_share / len(new)] * len(new), *(frames / frames.sum() * (1 - self.new_share))]

    def train(self, length: int) -> JoinedClips:
        return JoinedClips(self._clips(length, 0), self._shares)

    def held_out(self, length: int) -> JoinedClips:
        return JoinedClips(self._clips(length, 1))

    def _clips(self, length: int, side: int) -> list[Clips]:
        parts = zip(self._recordings, self._sides, strict=True)
        return [Clips(one, length, sides[side], in_memory=True) for one, sides in parts]


def _gently(recipe: FitConfig, config: TuneConfig, steps: int) -> FitConfig:
    warmup = min(recipe.warmup, steps // 10)
    return replace(recipe, steps=steps, minutes=None, lr=recipe.lr * config.lr, warmup=warmup, seed=config.seed)


def _starts(checkpoint: Checkpoint, newest: Recording, train: np.ndarray, seed: int) -> dict[str, torch.Tensor]:
    old = checkpoint.starts
    kept = np.random.default_rng(seed).permutation(len(old["frames"]))[: STARTS // 2]
    new = draw_starts(newest, train, seed, STARTS // 2, old["frames"].shape[1])
    return {name: torch.cat([old[name][kept], new[name]]) for name in old}


def _provenance(
    before: dict[str, Any],
    new: Sequence[Recording],
    about: str,
    config: TuneConfig,
    first: FitReport,
    second: FitReport,
) -> dict[str, Any]:
    """What the model was made with so far, and this round."""
    number = 1 + sum(name.startswith("round ") for name in before)
    episodes, frames = sum(map(len, new)), sum(one.lengths.sum() for one in new)
    what = (
        f"{about or ', '.join(str(one.folder) for one in new)}: {episodes} episodes, {frames} frames, drawn for "
        f"{config.new_share:.0%} of the clips; decoder {first.steps} steps, {first.seconds / 60:.1f} minutes; "
        f"dynamics {second.steps} steps, {second.seconds / 60:.1f} minutes; seed {config.seed}; "
        f"genie_gym {code_version()}, torch {torch.__version__}, {platform.machine()}"
    )
    figures = {f"tokenizer {k}": round(v, 4) for k, v in first.metrics.items()}
    figures |= {f"dynamics {k}": round(v, 4) for k, v in second.metrics.items()}
    return {**before, f"round {number}": what, "metrics": figures}
