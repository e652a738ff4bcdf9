"""From a recording with large frames to a checkpoint with an upscaler: fits it, in pieces if need be, and adds it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from genie_gym import paths
from genie_gym.checks import check_seed, more_than_zero
from genie_gym.data import Pairs, Recording, split
from genie_gym.devices import use_threads
from genie_gym.errors import ConfigError, DataError
from genie_gym.fit import FitReport, UpscalerPreset, fit_upscaler, upscaler_preset
from genie_gym.models.upscaler import Upscaler
from genie_gym.pipeline.fit_data import check_game
from genie_gym.pipeline.provenance import code_version
from genie_gym.pipeline.settings import same_settings
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import shipped_weights

__all__ = ["UpscalerReport", "add_upscaler"]


@dataclass(frozen=True)
class UpscalerReport:
    """The checkpoint that has the upscaler now, None if stopped before, and how the fit ended."""

    checkpoint: Path | None
    fit: FitReport

    @property
    def finished(self) -> bool:
        return self.checkpoint is not None


def add_upscaler(
    checkpoint: str | Path,
    *,
    size: str = "tiny",
    minutes: float | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    run: str | Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    changes: dict[str, Any] | None = None,
) -> UpscalerReport:
    """Fits an upscaler to a game's pictures and adds it to a checkpoint; the same call goes on where one stopped.

    It sees real frames alone, small and large, and no world model: fitted once, it serves every model of the game (see
    `Checkpoint.adopt_upscaler`).

    Args:
        checkpoint: of the game; a folder, or the id of a model on the hub.
        size: name of a preset.
        minutes: time in all; None goes by the preset's steps.
        data: folder of a recording with large frames (`collect(..., large=True)`); the game's own by default.
        out: folder for the checkpoint with its upscaler; `checkpoint` itself by default, or the user's own weights of
            the game where that is the one that ships with genie_gym. A model on the hub needs one.
        run: folder of the fit's state and TensorBoard events; below `paths.home()/runs` by default.
        seed: of everything random.
        threads: CPU threads; torch's choice by default.
        changes: not used by the command line: replacements of the preset's fields, for tests and studies.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        DataError: there is no recording, or it has not two episodes with large frames, one of them to hold out.
        ConfigError: unknown preset, the recording is of another game, the run was begun with other settings, or a model
            on the hub has no folder to go to.
    """
    check_seed(seed)
    more_than_zero(minutes=minutes)
    use_threads(threads)
    chosen = replace(upscaler_preset(size), **(changes or {}))
    loaded = Checkpoint.from_pretrained(checkpoint)
    if out is None and not Path(checkpoint).is_dir():
        raise ConfigError(f"{checkpoint} lies on the hub; say where to keep it with its upscaler, with --out FOLDER")
    game = loaded.game["name"]
    recording = Recording(data or paths.data_dir(game))
    check_game(game, recording)
    train, held_out = _sides(recording)
    run = Path(run or paths.home() / "runs" / f"{game}-upscaler-{size}")
    asked = {"game": game, "size": size, "minutes": minutes, "seed": seed}
    same_settings(run / "settings.json", asked | _plain(chosen))
    torch.manual_seed(seed)
    model = Upscaler(replace(chosen.model, scale=train.scale))
    report = fit_upscaler(model, train, held_out, chosen.recipe_for(minutes, seed), run, chosen.crop)
    if not report.finished:
        return UpscalerReport(None, report)
    loaded = Checkpoint.from_pretrained(checkpoint)  # as it is by now: it may have been fitted anew in the meantime
    loaded.upscaler = model.cpu().eval().requires_grad_(False)
    loaded.provenance = {**loaded.provenance, "upscaler": _about(size, seed, train, report)}
    place = Path(out or _own_place(checkpoint, game))
    loaded.save(place)
    return UpscalerReport(place, report)


def _sides(recording: Recording) -> tuple[Pairs, Pairs]:
    """Frames to train on and to validate with, divided among the episodes that were recorded large."""
    large = [index for index in range(len(recording)) if recording.has_large(index)]
    if len(large) == 1:
        raise DataError(
            f"only one episode in {recording.folder} has large frames, and one must be held out to validate with; "
            f"record more of them with: genie-gym collect {recording.header['game']['name']} --large --steps N"
        )
    train, held_out = split(recording, among=large) if large else (None, None)  # of which Pairs says what is missing
    return Pairs(recording, train), Pairs(recording, held_out)


def _own_place(checkpoint: str | Path, game: str) -> Path:
    """Where a checkpoint may be changed."""
    folder = Path(checkpoint)
    return folder if folder != shipped_weights(game) else paths.weights_dir(game)


def _about(size: str, seed: int, train: Pairs, report: FitReport) -> str:
    """What the model card says of it."""
    psnr, bicubic = (report.metrics[name] for name in ("psnr", "bicubic_psnr"))
    return (
        f"preset {size}, {report.steps} steps, {report.seconds / 60:.1f} minutes, seed {seed}, on {len(train)} frames "
        f"of {train.episodes} episodes; on held-out frames {psnr:.2f} dB, bicubic {bicubic:.2f} dB; "
        f"made with genie_gym {code_version()}, torch {torch.__version__}"
    )


def _plain(chosen: UpscalerPreset) -> dict[str, Any]:
    """What bears on the weights, one entry a value; not how often the fit is looked at and saved."""
    values = asdict(chosen)
    parts = {f"{part}.{name}": value for part in ("model", "recipe") for name, value in values[part].items()}
    return {name: value for name, value in parts.items() if not name.endswith("_every")} | {"crop": chosen.crop}
