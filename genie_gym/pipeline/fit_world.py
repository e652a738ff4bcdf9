"""From recordings to a checkpoint: fits tokenizer, latent actions where there are no others, then dynamics, in pieces
if need be, and writes the folder."""

import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym import games, paths
from genie_gym.checks import check_seed, more_than_zero
from genie_gym.data import Clips, Recording, split
from genie_gym.devices import use_threads
from genie_gym.errors import CheckpointError, ConfigError, DataError
from genie_gym.fit import (
    FitConfig,
    FitReport,
    Preset,
    fit_dynamics,
    fit_jointly,
    fit_latent_actions,
    fit_tokenizer,
    preset,
)
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.pipeline.fit_data import FitData, check_game, mark_finished, note_data
from genie_gym.pipeline.latent_play import with_latent_actions
from genie_gym.pipeline.provenance import code_version
from genie_gym.pipeline.settings import same_settings
from genie_gym.pipeline.windows import draw_starts, split_in_two, usable_lengths
from genie_gym.world_model import Checkpoint, WorldModel

__all__ = ["LATENT_ACTIONS", "FitWorldReport", "fit_world"]

LATENT_ACTIONS = 8  # where a recording has no actions; as many as Genie has


@dataclass
class FitWorldReport:
    """Where the checkpoint lies (None if stopped before it could be written) and how each stage ended."""

    checkpoint: Path | None
    tokenizer: FitReport
    dynamics: FitReport | None = None
    latent_actions: FitReport | None = None

    @property
    def finished(self) -> bool:
        return self.checkpoint is not None


def fit_world(
    game: str,
    *,
    size: str = "tiny",
    minutes: float | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    run: str | Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    latent_actions: int | None = None,
    joint: bool = False,
    compile: bool = False,
    changes: dict[str, Any] | None = None,
) -> FitWorldReport:
    """Fits a world model to recorded play; the same call goes on where an interrupted one stopped.

    Args:
        game: canonical name; used for the default folders and the checkpoint.
        size: name of a preset.
        minutes: time for all stages together; None goes by the preset's steps.
        data: folder of the recording; `paths.data_dir(game)` by default.
        out: checkpoint folder; `paths.weights_dir(game)` by default. An upscaler that the game has there is kept, and
            its buttons where the latent actions stay the same.
        run: folder of the fit's state and TensorBoard events; below `paths.home()/runs` by default.
        seed: of everything random.
        threads: CPU threads; torch's choice by default.
        latent_actions: that many codes, found in the pictures, in place of the recorded actions (the paper's
            GenieRedux); by default 8 where the recording has no actions, and 0, the recorded ones, where it has.
        joint: fits latent actions and dynamics together, as Genie does, rather than one after the other.
        compile: lets torch compile the training; see FitConfig.compile.
        changes: not yet used by the command line: replacements of the preset's fields, for tests and studies.

    Raises:
        DataError: there is no recording, it is too short, or its frames have another size than the model's.
        ConfigError: unknown preset, no time, an impossible number of latent actions, none to be fitted jointly, the
            recording is of another game, the run folder was begun with other settings or other actions, or the game's
            own weights have latent actions and these would not, or the reverse. More data of the same game are no
            error: they are told of, and noted in the checkpoint's provenance.
    """
    check_seed(seed)
    more_than_zero(minutes=minutes)
    use_threads(threads)
    chosen = _changed(preset(size), changes)
    recording = Recording(data or paths.data_dir(game))
    if game in games.names():  # one's own may be called anything
        check_game(game, recording)
    _check_size(recording, chosen.tokenizer.size)
    codes = _latent_actions(recording, latent_actions, joint)
    place = Path(out or paths.weights_dir(game))
    if out is None:
        _check_kind(place, bool(codes))
    run = Path(run or paths.home() / "runs" / f"{game}-{size}{'-latent' if codes else ''}{'-joint' if joint else ''}")
    train, _ = split_in_two(recording)
    fits = _recipes(_compiled(chosen) if compile else chosen, minutes, seed, codes, joint)
    asked = {"game": game, "size": size, "minutes": minutes, "seed": seed, "latent actions": codes, "joint": joint}
    same_settings(run / "settings.json", asked | _game_settings(recording) | _preset_settings(chosen))
    used = note_data(run / "data.json", FitData.of(recording, train))

    tokenizer, first = _fit_tokenizer(recording, chosen, fits[1], run / "tokenizer")
    if not first.finished:
        return FitWorldReport(None, first)

    latent, found = None, None
    if codes:
        chosen = replace(chosen, latent_actions=replace(chosen.latent_actions, codes=codes))
    if fits[0] is not None:
        latent, found = _find_actions(recording, chosen, fits[0], run / "latent_actions")
        if not found.finished:
            return FitWorldReport(None, first, latent_actions=found)
        recording = with_latent_actions(recording, latent)

    if joint:
        latent, dynamics, second = _fit_jointly(recording, tokenizer, chosen, fits[2], run / "joint")
        recording = with_latent_actions(recording, latent) if second.finished else recording
    else:
        dynamics, second = _fit_dynamics(recording, tokenizer, chosen, fits[2], run / "dynamics")
    if not second.finished:
        return FitWorldReport(None, first, second, found)
    mark_finished(run / "data.json", used)

    report = FitWorldReport(place, first, second, found)
    model = WorldModel(tokenizer.cpu(), dynamics.cpu(), latent and latent.cpu())
    made = _checkpoint(model, recording, train, used, size, seed, report)
    made.save_over(place)
    return report


def _check_kind(place: Path, latent: bool) -> None:
    """Refuses to replace a model whose actions are of another kind: what was made for it could not use the new one."""
    try:
        before = Checkpoint.load(place)
    except CheckpointError:  # none lies there, or none that is of use
        return
    if latent != (before.model.latent_actions is not None):
        kinds = ("latent", "recorded") if latent else ("recorded", "latent")
        raise ConfigError(
            f"this fit is for {kinds[0]} actions, and the weights in {place} have {kinds[1]} ones; "
            "give --out FOLDER to have both, or remove that folder"
        )


def _fit_tokenizer(
    recording: Recording, chosen: Preset, recipe: FitConfig, folder: Path
) -> tuple[Tokenizer, FitReport]:
    torch.manual_seed(recipe.seed)
    model = Tokenizer(chosen.tokenizer)
    return model, fit_tokenizer(model, *_sides(recording, chosen.clip_tokenizer), recipe, folder)


def _find_actions(
    recording: Recording, chosen: Preset, recipe: FitConfig, folder: Path
) -> tuple[LatentActionModel, FitReport]:
    torch.manual_seed(recipe.seed)
    model = LatentActionModel(chosen.latent_actions)
    return model, fit_latent_actions(model, *_sides(recording, chosen.clip_latent_actions), recipe, folder)


def _fit_dynamics(
    recording: Recording, tokenizer: Tokenizer, chosen: Preset, recipe: FitConfig, folder: Path
) -> tuple[Dynamics, FitReport]:
    torch.manual_seed(recipe.seed)
    model = Dynamics(chosen.dynamics_for(len(recording.header["game"]["actions"])))
    clips, tests, lengths = _long_sides(recording, chosen)
    return model, fit_dynamics(model, tokenizer, clips, tests, recipe, folder, lengths)


def _fit_jointly(
    recording: Recording, tokenizer: Tokenizer, chosen: Preset, recipe: FitConfig, folder: Path
) -> tuple[LatentActionModel, Dynamics, FitReport]:
    torch.manual_seed(recipe.seed)
    latent = LatentActionModel(chosen.latent_actions)
    dynamics = Dynamics(chosen.dynamics_for(latent.config.codes))
    clips, tests, lengths = _long_sides(recording, chosen)
    return latent, dynamics, fit_jointly(latent, dynamics, tokenizer, clips, tests, recipe, folder, lengths)


def _long_sides(recording: Recording, chosen: Preset) -> tuple[Clips, Clips, tuple[int, ...]]:
    """Windows for the dynamics to train on and to validate with, and the lengths of its clips."""
    train, held_out = split(recording)
    lengths, window = usable_lengths(chosen, int(recording.lengths[train].max()))
    longer = Clips(recording, window, train, in_memory=True)
    return longer, Clips(recording, lengths[0], held_out), lengths


def _sides(recording: Recording, length: int) -> tuple[Clips, Clips]:
    """Windows to train on and to validate with."""
    train, held_out = (Clips(recording, length, side, in_memory=True) for side in split(recording))
    return train, held_out


def _checkpoint(
    model: WorldModel,
    recording: Recording,
    train: np.ndarray,
    used: list[FitData],
    size: str,
    seed: int,
    report: FitWorldReport,
) -> Checkpoint:
    named = {"tokenizer": report.tokenizer, "latent actions": report.latent_actions, "dynamics": report.dynamics}
    stages = {name: stage for name, stage in named.items() if stage is not None}
    joint = model.latent_actions is not None and report.latent_actions is None
    provenance = {
        "preset": size,
        "seed": seed,
        "data": "; then ".join(map(str, used)),
        **({"latent actions": "fitted together with the dynamics"} if joint else {}),
        **{name: f"{stage.steps} steps, {stage.seconds / 60:.1f} minutes" for name, stage in stages.items()},
        "made with": f"genie_gym {code_version()}, torch {torch.__version__}, {platform.machine()}",
        "metrics": {f"{name} {k}": round(v, 4) for name, stage in stages.items() for k, v in stage.metrics.items()},
    }
    return Checkpoint(model, recording.header["game"], draw_starts(recording, train, seed), provenance=provenance)


def _check_size(recording: Recording, side: int) -> None:
    shape = recording.frames(0, 0, 1).shape[1:]
    if shape != (side, side, 3):
        raise DataError(
            f"{recording.folder} has frames of shape {shape}, the model's are ({side}, {side}, 3); resize yours with "
            "genie_gym.frames.square before they are recorded"
        )


def _latent_actions(recording: Recording, asked: int | None, joint: bool) -> int:
    """How many latent actions the dynamics are to have, 0 for the recorded ones."""
    if asked is None:
        asked = 0 if recording.has_actions else LATENT_ACTIONS
    if joint and not asked:
        raise ConfigError("joint fitting is for latent actions; say how many, such as --latent-actions 8")
    if asked == 1 or asked < 0 or not (asked or recording.has_actions):
        raise ConfigError(f"latent actions must be 2 or more where nothing else was recorded, or 0; got {asked}")
    return asked


def _recipes(
    chosen: Preset, minutes: float | None, seed: int, codes: int, joint: bool
) -> tuple[FitConfig | None, FitConfig, FitConfig]:
    """Of the latent action model (None where it is not fitted by itself), the tokenizer and the dynamics."""
    if not codes:
        return None, *chosen.fits_for(minutes, seed)
    latent, tokenizer, dynamics = chosen.latent_fits_for(minutes, seed)
    if not joint:
        return latent, tokenizer, dynamics
    together = None if minutes is None else minutes - (tokenizer.minutes or 0)
    return None, tokenizer, replace(dynamics, minutes=together)


def _changed(chosen: Preset, changes: dict[str, Any] | None) -> Preset:
    return replace(chosen, **changes) if changes else chosen


def _compiled(chosen: Preset) -> Preset:
    recipes = ("fit_tokenizer", "fit_dynamics", "fit_latent_actions")
    return replace(chosen, **{name: replace(getattr(chosen, name), compile=True) for name in recipes})


def _game_settings(recording: Recording) -> dict[str, Any]:
    return {"recorded game": recording.header["game"]["name"], "actions": list(recording.header["actions"])}


def _preset_settings(chosen: Preset) -> dict[str, Any]:
    """What bears on the weights, one entry a value; not whether it is compiled, how often looked at and saved."""
    settings: dict[str, Any] = {}
    for name, value in asdict(chosen).items():
        settings |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return {name: value for name, value in settings.items() if not name.endswith(("_every", ".compile"))}
