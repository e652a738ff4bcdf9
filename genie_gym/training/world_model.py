"""Training of a world model: from a dataset of recorded episodes to a checkpoint, through interruptions."""

import time
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.models.architectures import AnyDynamics, AnyTokenizer
from genie_gym.models.lam import LatentActionModel
from genie_gym.registration import register_own_games
from genie_gym.training.checks.beforehand import bytes_needed, check_folders, check_windows
from genie_gym.training.checks.verdict import Verdict, judge, minutes_needed
from genie_gym.training.config import TrainConfig, as_config
from genie_gym.training.joint import train_jointly
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import STATES, StageReport
from genie_gym.training.presets import Preset, get_preset
from genie_gym.training.recordings import Recordings, open_datasets
from genie_gym.training.records import DataSummary, mark_finished, note_data, software_used, stage_record
from genie_gym.training.stages import Windows, train_dynamics, train_lam, train_tokenizer
from genie_gym.training.windows import check_frame_size, usable_lengths
from genie_gym.utils import paths
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.parallel.processes import first_process_first, join_processes, process_number
from genie_gym.utils.run_config import check_run_config
from genie_gym.world_model import Checkpoint, SamplingConfig, WorldModel
from genie_gym.world_model.metadata import TrainingMetadata

__all__ = ["TrainReport", "train"]

NO_TIME = 1e-9  # minutes
NOT_LEARNED = ("_every", ".compile", ".prefetch", ".shard")  # ends of names of settings that may change
LATENT_ACTIONS = 8  # if a dataset has no actions; as many as Genie has


@dataclass(frozen=True)
class TrainReport:
    """How the training of a world model ended.

    Attributes:
        game: Canonical name of the game.
        checkpoint: Folder of the checkpoint; None if interrupted before it could be written.
        stages: How each stage that was started ended: "tokenizer", "latent_actions", "dynamics" or "joint".
        verdict: What the model came to on held-out episodes; None if interrupted.
    """

    game: str
    checkpoint: Path | None
    stages: dict[str, StageReport]
    verdict: Verdict | None = None

    @property
    def finished(self) -> bool:
        """Whether the checkpoint was written."""
        return self.checkpoint is not None


@kept_global_state()
def train(game: str | TrainConfig, *, preset_overrides: dict[str, Any] | None = None, **options: Any) -> TrainReport:
    """Train a world model. Resumable: repeat the call. A finished run is trained on with more minutes, or more data.

    Args:
        game: Name of the game, or of the model where `games` are given; or a whole configuration.
        preset_overrides: Replacements of fields of the preset, for tests and studies.
        options: Fields of `TrainConfig`, if no configuration is given.

    Raises:
        DataError: There is no dataset, it is too short, its frames have another size than the model's, an action is
            none of its game's or a reward is not finite; or a folder cannot be written, or the disk has too little
            room.
        ConfigError: An option is out of range, the dataset is of another game, the run was started with other settings
            or actions, or the game's own weights have latent actions and these would not, or the reverse. More data of
            the same game are no error: a line is printed, and the checkpoint's metadata record it.
        GameError: There is no such game.
    """
    started, config = time.monotonic(), as_config(TrainConfig, game, options)
    use_threads(config.threads)
    preset = replace(get_preset(config.preset), **(preset_overrides or {}))
    name, datasets = open_datasets(config)
    for dataset in datasets:
        check_frame_size(dataset, preset.tokenizer.size)
    codes = _num_latent_actions(all(one.has_actions for one in datasets), config)
    out = Path(config.out or paths.weights_dir(name))
    if config.out is None:
        _check_kind_of_actions(out, bool(codes))
    kind = {"latent": bool(codes), "joint": config.joint, "compile": config.compile, "shard": config.shard}
    plan = preset.plan(config.minutes, config.seed, **kind)
    recordings = Recordings.of(name, datasets, bool(config.games))

    run = Path(config.run or paths.home() / "runs" / _run_name(name, config, codes))
    training = _Training(recordings, preset, run, codes, started)
    join_processes()
    with first_process_first():
        training.check_beforehand(out)
        longer = check_run_config(run / "settings.json", _settings(name, config, codes, recordings, preset), "minutes")
        used = note_data(run / "data.json", recordings.summary(), longer)
    if not training.run_stages(plan):
        return TrainReport(name, None, training.reports)
    checkpoint = training.checkpoint(config, used)
    with first_process_first():
        if process_number() == 0:
            mark_finished(run / "data.json", used)
            checkpoint.save(out)
    register_own_games()
    verdict = training.verdict(preset.plan(None, config.seed, **kind), config.minutes)
    return TrainReport(name, out, training.reports, verdict)


class _Training:
    """The stages of a training run, each resumable in its own folder, and the models they train.

    Attributes:
        recordings: The episodes, with latent actions once those are found.
        reports: How each stage that was started ended.
    """

    def __init__(self, recordings: Recordings, preset: Preset, run: Path, num_latent_actions: int, started: float):
        self.recordings, self.run, self._latent = recordings, run, bool(num_latent_actions)
        self._started = started
        self.preset = replace(preset, lam=replace(preset.lam, codes=num_latent_actions or preset.lam.codes))
        self.reports: dict[str, StageReport] = {}
        self.tokenizer: AnyTokenizer
        self.dynamics: AnyDynamics
        self.lam: LatentActionModel | None = None

    def check_beforehand(self, out: Path) -> None:
        """Check what would otherwise stop the run after hours: folders, room on the disk, and lengths of episodes."""
        preset, actions = self.preset, len(self.recordings.game["actions"])
        models = (preset.tokenizer, preset.dynamics_for(actions), *([preset.lam] if self._latent else []))
        check_folders(self.run, out, bytes_needed(models))
        lengths, window = self._dynamics_lengths()
        stages = [preset.tokenizer_clip_length, *([preset.lam_clip_length] if self._latent else [])]
        windows = [(length, length) for length in stages] + [(window, lengths[0])]
        for dataset, sides in zip(self.recordings.datasets, self.recordings.sides, strict=True):
            check_windows(dataset, sides, windows)

    def verdict(self, recipes: dict[str, TrainerConfig], minutes: float | None) -> Verdict | None:
        """Judge the models by the last validations; `recipes` have the steps that each stage should have."""
        needed = minutes_needed(self.reports, recipes, minutes or 0)
        anew, longer = f"remove {self.run} and train with --minutes {needed}", f"train on with --minutes {needed}"
        again = {name: longer if name == list(recipes)[-1] else anew for name in recipes}
        return judge(self.reports, recipes, self.preset.tokenizer.codes, again, self.recordings.frames)

    def run_stages(self, plan: dict[str, TrainerConfig]) -> bool:
        """Run the stages in order; returns whether all came to their end."""
        stages = {
            "tokenizer": self._train_tokenizer,
            "latent_actions": self._train_lam,
            "dynamics": self._train_dynamics,
            "joint": self._train_jointly,
        }
        for name, following in zip_longest(plan, list(plan)[1:]):
            recipe = plan[name]
            if following and any((self.run / following / state).exists() for state in STATES):
                # More time is the last stage's: tokens must keep the meaning that it has learned.
                recipe = replace(recipe, steps=None, minutes=NO_TIME)
            elif not following and recipe.minutes:
                recipe = replace(recipe, minutes=self._minutes_left(plan))
            torch.manual_seed(recipe.seed)
            self.reports[name] = stages[name](recipe, self.run / name)
            if not self.reports[name].finished:
                return False
        return True

    def _minutes_left(self, plan: dict[str, TrainerConfig]) -> float:
        """What the earlier stages, and the work between them, have left of the time of all."""
        total = sum(recipe.minutes or 0 for recipe in plan.values())
        earlier_calls = sum(report.earlier_seconds for report in self.reports.values())
        return max(total - (earlier_calls + time.monotonic() - self._started) / 60, NO_TIME)

    def _train_tokenizer(self, recipe: TrainerConfig, folder: Path) -> StageReport:
        self.tokenizer = self.preset.tokenizer.build()
        return train_tokenizer(self.tokenizer, *self._clips(self.preset.tokenizer_clip_length), recipe, folder)

    def _train_lam(self, recipe: TrainerConfig, folder: Path) -> StageReport:
        self.lam = LatentActionModel(self.preset.lam)
        report = train_lam(self.lam, *self._clips(self.preset.lam_clip_length), recipe, folder)
        if report.finished:
            self.recordings = self.recordings.relabelled(self.lam)
        return report

    def _train_dynamics(self, recipe: TrainerConfig, folder: Path) -> StageReport:
        self.dynamics = self.preset.dynamics_for(len(self.recordings.game["actions"])).build()
        train, held_out, lengths = self._dynamics_clips()
        choices = self.preset.dynamics_moving_choices
        return train_dynamics(self.dynamics, self.tokenizer, train, held_out, recipe, folder, lengths, choices)

    def _train_jointly(self, recipe: TrainerConfig, folder: Path) -> StageReport:
        self.lam = LatentActionModel(self.preset.lam)
        self.dynamics = self.preset.dynamics_for(self.lam.config.codes).build()
        train, held_out, lengths = self._dynamics_clips()
        report = train_jointly(self.lam, self.dynamics, self.tokenizer, train, held_out, recipe, folder, lengths)
        if report.finished:
            self.recordings = self.recordings.relabelled(self.lam)
        return report

    def _clips(self, length: int) -> tuple[Windows, Windows]:
        """Windows to train on and to validate with."""
        train, held_out = (self.recordings.windows(length, side, in_memory=True) for side in (0, 1))
        return train, held_out

    def _dynamics_clips(self) -> tuple[Windows, Windows, tuple[int, ...]]:
        """Windows for the dynamics to train on and to validate with, and the lengths of its training clips."""
        lengths, window = self._dynamics_lengths()
        train = self.recordings.windows(window, 0, in_memory=True)
        return train, self.recordings.windows(lengths[0], 1), lengths

    def _dynamics_lengths(self) -> tuple[tuple[int, ...], int]:
        return usable_lengths(self.preset, self.recordings.longest)

    def checkpoint(self, config: TrainConfig, used: list[DataSummary]) -> Checkpoint:
        """The checkpoint of the trained models."""
        model = WorldModel(self.tokenizer.cpu(), self.dynamics.cpu(), self.lam and self.lam.cpu())
        metadata = TrainingMetadata(
            preset=config.preset,
            seed=config.seed,
            data=tuple(one.used for one in used),
            stages={name: stage_record(report) for name, report in self.reports.items()},
            software=software_used(),
        )
        contexts = self.recordings.initial_contexts(config.seed)
        sampling = SamplingConfig(temperature=self.preset.dynamics.rollout_temperature)
        return Checkpoint(model, self.recordings.game, contexts, sampling, metadata, games=self.recordings.known)


def _num_latent_actions(has_actions: bool, config: TrainConfig) -> int:
    """Number of latent actions; 0 for the recorded ones."""
    number = config.latent_actions
    if number is None:
        number = 0 if has_actions else LATENT_ACTIONS
    if config.joint and not number:
        raise ConfigError("joint training is for latent actions; say how many, such as --latent-actions 8")
    if number == 1 or number < 0 or not (number or has_actions):
        raise ConfigError(f"latent actions must be 2 or more where no others were recorded, or 0; got {number}")
    return number


def _check_kind_of_actions(out: Path, latent: bool) -> None:
    """Refuse to replace a model whose actions are of another kind: agents trained in it could not use the new one."""
    try:
        before = Checkpoint.load(out)
    except CheckpointError:  # there is none, or none that can be read
        return
    if latent != (before.model.latent_actions is not None):
        kinds = ("latent", "recorded") if latent else ("recorded", "latent")
        raise ConfigError(
            f"this training is for {kinds[0]} actions, and the weights in {out} have {kinds[1]} ones; "
            "give --out FOLDER to have both, or remove that folder"
        )


def _run_name(game: str, config: TrainConfig, codes: int) -> str:
    return f"{game}-{config.preset}{'-latent' if codes else ''}{'-joint' if config.joint else ''}"


def _settings(game: str, config: TrainConfig, codes: int, recordings: Recordings, preset: Preset) -> dict[str, Any]:
    """What determines the weights, and must stay the same when a run is resumed."""
    return {
        "game": game,
        "preset": config.preset,
        "minutes": config.minutes,
        "seed": config.seed,
        "latent_actions": codes,
        "joint": config.joint,
        "recorded game": recordings.game["name"],
        **({"games": [one.name for one in recordings.known]} if recordings.known else {}),
        "actions": [action["meaning"] for action in recordings.game["actions"]],
        **_preset_settings(preset),
    }


def _preset_settings(preset: Preset) -> dict[str, Any]:
    """The fields of a preset, one entry a value, but for those that do not change what is learned."""
    settings: dict[str, Any] = {}
    for name, value in asdict(preset).items():
        settings |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return {name: value for name, value in settings.items() if not name.endswith(NOT_LEARNED)}
