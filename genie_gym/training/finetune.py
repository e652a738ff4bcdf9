"""Finetuning of a world model on other episodes: first the decoder, then the dynamics, from the weights it has."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym.data import EpisodeDataset, MixtureDataset, SequenceDataset, split
from genie_gym.errors import ConfigError
from genie_gym.training.adaptation import choose_weights, for_game, merge_low_rank, with_recorded_actions
from genie_gym.training.checks.beforehand import bytes_needed, check_folders
from genie_gym.training.checks.verdict import Verdict, judge
from genie_gym.training.config import FinetuneConfig, FinetuneRunConfig, as_config
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport, training_device
from genie_gym.training.presets import Preset, get_preset, timed
from genie_gym.training.records import data_used, software_used, stage_record
from genie_gym.training.stages import train_decoder, train_dynamics
from genie_gym.training.windows import (
    NUM_CONTEXTS,
    check_description,
    check_frame_size,
    check_steps,
    draw_initial_contexts,
    split_in_two,
    usable_lengths,
)
from genie_gym.utils import paths
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.options import FinetuneOptions
from genie_gym.utils.parallel.processes import first_process_first, join_processes, process_number
from genie_gym.utils.run_config import check_run_config
from genie_gym.world_model import Checkpoint, WorldModel
from genie_gym.world_model.actions.latent_relabel import relabel_with_latent_actions
from genie_gym.world_model.many_games import require_one_game
from genie_gym.world_model.metadata import FinetuneRecord
from genie_gym.world_model.resolve import resolve_checkpoint, resolve_game, wanted_game

__all__ = ["FinetuneReport", "FinetuneResult", "finetune", "finetune_checkpoint", "with_model_actions"]

LENGTHS = ("decoder_steps", "dynamics_steps", "minutes")  # of a finetuning, which may be raised when it is finished
DECODER_SHARE = 0.2  # of a finetuning's minutes: what things look like is learned sooner than how they move


@dataclass(frozen=True)
class FinetuneReport:
    """How a finetuning ended.

    Attributes:
        checkpoint: Folder of the finetuned checkpoint; None if interrupted before it could be written.
        decoder: How the training of the decoder ended.
        dynamics: How the training of the dynamics ended; None if it was not started.
        verdict: What the model came to on held-out episodes; None if interrupted.
    """

    checkpoint: Path | None
    decoder: StageReport
    dynamics: StageReport | None = None
    verdict: Verdict | None = None

    @property
    def finished(self) -> bool:
        """Whether the checkpoint was written."""
        return self.checkpoint is not None


@dataclass(frozen=True)
class FinetuneResult:
    """A finetuned checkpoint in memory, how each stage ended, and what the model came to; None if interrupted."""

    checkpoint: Checkpoint | None
    decoder: StageReport
    dynamics: StageReport | None = None
    verdict: Verdict | None = None


@kept_global_state()
def finetune(checkpoint: str | Path | FinetuneRunConfig, **options: Any) -> FinetuneReport:
    """Finetune a checkpoint on other datasets. Resumable: repeat the call.

    Encoder and codebook keep their weights. A model of many games becomes one of the datasets' game. If they have other
    actions than the checkpoint, those of the same names keep what the model knows of them, and new ones begin as the
    mean of the nearest names. A model of latent actions infers those of the datasets, with or without recorded ones,
    or with `real_actions` becomes one of the recorded actions.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub; or a whole configuration.
        options: Fields of `FinetuneRunConfig`, if no configuration is given.

    Raises:
        CheckpointError: There is no such checkpoint.
        DataError: There is no dataset, it has too few or too short episodes, or the datasets' actions differ.
        ConfigError: An option is out of range, the dataset has no actions, or the run was started with other settings.
    """
    config = as_config(FinetuneRunConfig, checkpoint, options)
    use_threads(config.threads)
    base = Checkpoint.from_pretrained(resolve_checkpoint(config.checkpoint))
    new = [EpisodeDataset(folder) for folder in config.data or (paths.data_dir(_game_of(base, config)),)]
    old = [EpisodeDataset(folder) for folder in config.old]
    for one in (*new, *old):
        check_description(one)
    game = new[-1].header["game"]["name"]
    run = Path(config.run or paths.home() / "runs" / f"{game}-finetune-{config.seed}")
    out = Path(config.out or run / "checkpoint")
    join_processes()
    with first_process_first():
        check_folders(run, out, bytes_needed((base.model.tokenizer.config, base.model.dynamics.config)))
        check_run_config(run / "settings.json", _settings(config, new, old), *LENGTHS)
        kept = run / "base"  # `out` may be the very folder that the checkpoint is in
        if (kept / "config.json").is_file():
            base = Checkpoint.load(kept)
        else:
            base.save(kept)
    result = finetune_checkpoint(base, new, config, run, old=old)
    if result.checkpoint is None:
        return FinetuneReport(None, result.decoder, result.dynamics)
    with first_process_first():
        if process_number() == 0:
            result.checkpoint.save(out)
    return FinetuneReport(out, result.decoder, result.dynamics, result.verdict)


def finetune_checkpoint(
    checkpoint: Checkpoint,
    new: Sequence[EpisodeDataset],
    config: FinetuneConfig,
    folder: Path,
    *,
    old: Sequence[EpisodeDataset] = (),
    source: str = "",
) -> FinetuneResult:
    """Finetune a checkpoint's model in place. Resumable: repeat the call.

    Encoder and codebook keep their weights, so that tokens keep their meaning for the dynamics (paper section 4). The
    recipes are those of the preset that the checkpoint was trained with, with other steps and learning rate.

    Args:
        checkpoint: Loaded for this alone. Half of its initial contexts make room for new ones.
        new: Datasets of one game, each drawn from equally often; the last one provides new initial contexts. Held-out
            episodes (`data.split`) are only validated on.
        config: Length and learning rate.
        folder: Folder of the training state and of TensorBoard's events.
        old: Datasets that the model knows, drawn from by their numbers of frames.
        source: Where the new episodes come from, for the metadata.

    Raises:
        DataError: A dataset has too few or too short episodes, frames of another size, or other actions than the
            others.
        ConfigError: A dataset has no actions, and the model is not one of latent actions.
    """
    checkpoint = _with_recorded_actions(checkpoint, new, config)
    new, old = ([with_model_actions(checkpoint, one) for one in datasets] for datasets in (new, old))
    clips = _Clips(new, old, config.new_share)
    checkpoint = for_game(checkpoint, new[-1].header["game"])
    preset, model = get_preset(checkpoint.metadata.preset), checkpoint.model

    recipe = _gentle(preset.tokenizer_training, config, config.decoder_steps, DECODER_SHARE)
    length = preset.tokenizer_clip_length
    lengths, window = usable_lengths(preset, clips.longest)
    sides = clips.train(window), clips.held_out(lengths[0])  # reports episodes that are too short before any training
    decoder = train_decoder(model.tokenizer, clips.train(length), clips.held_out(length), recipe, folder / "decoder")
    if not decoder.finished:
        return FinetuneResult(None, decoder)

    recipe = _gentle(preset.dynamics_training, config, config.dynamics_steps, 1 - DECODER_SHARE)
    choose_weights(model.dynamics, config.weights, config.rank, config.seed)
    choices = preset.dynamics_moving_choices
    dynamics = train_dynamics(model.dynamics, model.tokenizer, *sides, recipe, folder / "dynamics", lengths, choices)
    if not dynamics.finished:
        return FinetuneResult(None, decoder, dynamics)
    merge_low_rank(model.dynamics)

    record = FinetuneRecord(
        source=source or ", ".join(one.folder.name for one in new),
        data=tuple(data_used(one, split(one)[0]) for one in new),
        new_share=clips.new_share,
        stages={"decoder": stage_record(decoder), "dynamics": stage_record(dynamics)},
        seed=config.seed,
        software=software_used(),
        weights=config.weights,
    )
    finetuned = _finetuned(checkpoint, new[-1], record)
    return FinetuneResult(finetuned, decoder, dynamics, _verdict(decoder, dynamics, model, clips, preset, config))


def _with_recorded_actions(
    checkpoint: Checkpoint, datasets: Sequence[EpisodeDataset], config: FinetuneConfig
) -> Checkpoint:
    """A model of latent actions as one of the recorded ones, where that is asked for."""
    if not config.real_actions or checkpoint.model.latent_actions is None:
        return checkpoint
    for one in datasets:
        _check(checkpoint, one, with_actions=True)
    return with_recorded_actions(checkpoint, datasets)


def _finetuned(checkpoint: Checkpoint, dataset: EpisodeDataset, record: FinetuneRecord) -> Checkpoint:
    """The checkpoint of a model that was trained in place, with initial contexts of the new dataset among its own."""
    return replace(
        checkpoint,
        model=checkpoint.model.cpu().eval().requires_grad_(False),
        initial_contexts=_mixed_contexts(checkpoint.initial_contexts, dataset, record.seed),
        metadata=replace(checkpoint.metadata, finetuning=(*checkpoint.metadata.finetuning, record)),
    )


def _verdict(
    decoder: StageReport,
    dynamics: StageReport,
    model: WorldModel,
    clips: "_Clips",
    preset: Preset,
    config: FinetuneConfig,
) -> Verdict | None:
    """Judge a finetuned model; a finetuning should have as many steps as it has by default."""
    stages, usual = {"decoder": decoder, "dynamics": dynamics}, FinetuneOptions()
    recipes = {
        "decoder": replace(preset.tokenizer_training, steps=usual.decoder_steps),
        "dynamics": replace(preset.dynamics_training, steps=usual.dynamics_steps),
    }
    again = {name: f"go on with more --{'minutes' if config.minutes else f'{name}-steps'}" for name in stages}
    return judge(stages, recipes, model.tokenizer.config.codes, again, clips.frames)


def with_model_actions(checkpoint: Checkpoint, dataset: EpisodeDataset) -> EpisodeDataset:
    """Return the dataset with actions that a model of the checkpoint's kind can learn: recorded or latent ones.

    Raises:
        DataError: Its frames have another size, or its actions or rewards cannot be used.
        ConfigError: It has no actions, and the model is not one of latent actions.
    """
    lam = checkpoint.model.latent_actions
    _check(checkpoint, dataset, with_actions=lam is None)
    return dataset if lam is None else relabel_with_latent_actions(dataset, lam.to(training_device()))


def _check(checkpoint: Checkpoint, dataset: EpisodeDataset, with_actions: bool) -> None:
    """Raise DataError or ConfigError if a model cannot learn from a dataset."""
    check_frame_size(dataset, checkpoint.model.tokenizer.config.size)
    check_steps(dataset)
    if with_actions and not dataset.has_actions:
        raise ConfigError(
            f"{dataset.folder} was recorded without actions, which this model learns from; give one with actions, or "
            "finetune a model of latent actions"
        )


def _game_of(base: Checkpoint, config: FinetuneRunConfig) -> str:
    """The game whose dataset is meant where none is named."""
    wanted = wanted_game(config.checkpoint, config.game) if base.games else config.game
    if wanted is None:
        require_one_game(base)
        return base.game["name"]
    return resolve_game(wanted)


class _Clips:
    """Training and validation clips of several datasets.

    Attributes:
        longest: Frames that an episode of every dataset has at least.
        frames: Frames of all episodes to train on.
        new_share: Share of the training clips that comes from the new datasets.
    """

    def __init__(self, new: Sequence[EpisodeDataset], old: Sequence[EpisodeDataset], new_share: float):
        self._datasets = [*new, *old]
        self._sides = [split_in_two(one) for one in self._datasets]
        lengths = [one.lengths[train] for one, (train, _) in zip(self._datasets, self._sides, strict=True)]
        self.frames = sum(int(own.sum()) for own in lengths)
        self.longest = min(int(own.max()) for own in lengths)
        self.new_share = new_share if old else 1.0
        frames = np.array([own.sum() for own in lengths[len(new) :]], float)
        self._shares = [*[self.new_share / len(new)] * len(new), *(frames / frames.sum() * (1 - self.new_share))]

    def train(self, length: int) -> MixtureDataset:
        return MixtureDataset(self._windows(length, 0), self._shares)

    def held_out(self, length: int) -> MixtureDataset:
        return MixtureDataset(self._windows(length, 1))

    def _windows(self, length: int, side: int) -> list[SequenceDataset]:
        parts = zip(self._datasets, self._sides, strict=True)
        return [SequenceDataset(one, length, sides[side], in_memory=True) for one, sides in parts]


def _gentle(recipe: TrainerConfig, config: FinetuneConfig, steps: int, share: float) -> TrainerConfig:
    """The recipe with the lower learning rate of a finetuning, and its steps or the stage's share of its minutes."""
    lr, muon_lr = recipe.lr * config.lr_scale, recipe.muon_lr and recipe.muon_lr * config.lr_scale
    recipe = replace(recipe, lr=lr, muon_lr=muon_lr)
    if config.minutes is None:
        recipe = replace(recipe, steps=steps, minutes=None, warmup=min(recipe.warmup, steps // 10))
    return timed(recipe, config.minutes, share, config.seed)


def _mixed_contexts(old: dict[str, torch.Tensor], newest: EpisodeDataset, seed: int) -> dict[str, torch.Tensor]:
    """Half of them old ones, or fewer if there are fewer; if there are none, all of them new."""
    kept = np.random.default_rng(seed).permutation(len(old["frames"]))[: NUM_CONTEXTS // 2]
    count = NUM_CONTEXTS // 2 if len(kept) else NUM_CONTEXTS
    new = draw_initial_contexts(newest, split(newest)[0], seed, count, old["frames"].shape[1])
    return {name: torch.cat([old[name][kept], new[name]]) for name in old}


def _settings(
    config: FinetuneRunConfig, new: Sequence[EpisodeDataset], old: Sequence[EpisodeDataset]
) -> dict[str, Any]:
    """What determines the weights, and must stay the same when a run is resumed."""
    recipe = asdict(config)
    return {
        "checkpoint": paths.absolute(config.checkpoint),
        "data": [str(one.folder.absolute()) for one in new],
        "old": [str(one.folder.absolute()) for one in old],
        **{field.name: recipe[field.name] for field in fields(FinetuneConfig)},
    }
