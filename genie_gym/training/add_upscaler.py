"""Training of an upscaler on a dataset with high-resolution frames, and adding it to a checkpoint."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from genie_gym.data import EpisodeDataset, FramePairs, split
from genie_gym.errors import DataError
from genie_gym.models.upscaler import Upscaler
from genie_gym.training.checks.beforehand import own_place
from genie_gym.training.config import UpscalerTrainConfig, as_config
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.records import software_used
from genie_gym.training.upscaler import UpscalerPreset, get_upscaler_preset, train_upscaler
from genie_gym.utils import paths
from genie_gym.utils.atomic import check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.parallel.processes import first_process_first, join_processes, process_number
from genie_gym.utils.run_config import check_run_config
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.many_games import refuse_to_replace, require_one_game
from genie_gym.world_model.resolve import check_game, resolve_checkpoint

__all__ = ["UpscalerReport", "add_upscaler"]


@dataclass(frozen=True)
class UpscalerReport:
    """How the training of an upscaler ended.

    Attributes:
        checkpoint: Folder of the checkpoint that has the upscaler now; None if interrupted.
        training: How the training ended.
    """

    checkpoint: Path | None
    training: StageReport

    @property
    def finished(self) -> bool:
        """Whether the checkpoint was written."""
        return self.checkpoint is not None


@kept_global_state()
def add_upscaler(
    checkpoint: str | Path | UpscalerTrainConfig, *, preset_overrides: dict[str, Any] | None = None, **options: Any
) -> UpscalerReport:
    """Train an upscaler on a game's frames and add it to a checkpoint. Resumable: repeat the call.

    It learns from real frames alone, in both sizes, and from no world model: trained once, it serves every model of the
    game (see `Checkpoint.adopt_upscaler`).

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub; or a whole configuration.
        preset_overrides: Replacements of fields of the preset, for tests and studies.
        options: Fields of `UpscalerTrainConfig`, if no configuration is given.

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
        DataError: There is no dataset, or it has fewer than two episodes with high-resolution frames, one of which is
            held out.
        ConfigError: An option is out of range, the dataset is of another game, the run was started with other settings,
            or a model on the hub has no folder to go to.
    """
    config = as_config(UpscalerTrainConfig, checkpoint, options)
    use_threads(config.threads)
    preset = replace(get_upscaler_preset(config.preset), **(preset_overrides or {}))
    place = resolve_checkpoint(config.checkpoint)
    loaded = Checkpoint.from_pretrained(config.checkpoint, game=config.game)
    require_one_game(loaded)
    game = loaded.game["name"]
    out = Path(config.out or own_place(place, game))
    refuse_to_replace(out, loaded)
    dataset = EpisodeDataset(config.data or paths.data_dir(game))
    check_game(game, dataset)
    train, held_out = _sides(dataset)
    run = Path(config.run or paths.home() / "runs" / f"{game}-upscaler-{config.preset}")
    check_writable(out)
    settings = {"game": game, "preset": config.preset, "minutes": config.minutes, "seed": config.seed}
    join_processes()
    with first_process_first():
        check_run_config(run / "settings.json", settings | _preset_settings(preset), "minutes")
    torch.manual_seed(config.seed)
    model = Upscaler(replace(preset.model, scale=train.scale))
    recipe = preset.recipe_for(config.minutes, config.seed)
    report = train_upscaler(model, train, held_out, recipe, run, preset.crop)
    if not report.finished:
        return UpscalerReport(None, report)
    loaded = Checkpoint.from_pretrained(
        config.checkpoint, game=config.game
    )  # anew: the world model may have been trained further in the meantime
    loaded.upscaler = model.cpu().eval().requires_grad_(False)
    loaded.metadata = replace(loaded.metadata, upscaler=_description(config, train, report))
    with first_process_first():
        if process_number() == 0:
            loaded.save(out)
    return UpscalerReport(out, report)


def _sides(dataset: EpisodeDataset) -> tuple[FramePairs, FramePairs]:
    """Frames to train on and to validate with, split among the episodes that have high-resolution frames."""
    high_res = [index for index in range(len(dataset)) if dataset.has_high_res(index)]
    if len(high_res) == 1:
        raise DataError(
            f"only one episode in {dataset.folder} has high-resolution frames, and one must be held out to validate "
            f"with; record more of them with: genie-gym collect {dataset.header['game']['name']} --high-res --steps N"
        )
    # If there are none, FramePairs reports what is missing.
    train, held_out = split(dataset, among=high_res) if high_res else (None, None)
    return FramePairs(dataset, train), FramePairs(dataset, held_out)


def _description(config: UpscalerTrainConfig, train: FramePairs, report: StageReport) -> str:
    """How the upscaler was made, for the checkpoint's metadata."""
    psnr, bicubic = (report.metrics[name] for name in ("psnr", "bicubic_psnr"))
    return (
        f"preset {config.preset}, {report.steps} steps, {report.seconds / 60:.1f} minutes, seed {config.seed}, on "
        f"{len(train)} frames of {train.num_episodes} episodes; on held-out frames {psnr:.2f} dB, bicubic "
        f"{bicubic:.2f} dB; made with {software_used()}"
    )


def _preset_settings(preset: UpscalerPreset) -> dict[str, Any]:
    """The fields of a preset, one entry a value, but for how often it is logged, validated and saved."""
    values = asdict(preset)
    parts = {f"{part}.{name}": value for part in ("model", "training") for name, value in values[part].items()}
    return {name: value for name, value in parts.items() if not name.endswith(("_every", ".prefetch"))} | {
        "crop": preset.crop
    }
