"""Analysis of a world model, written as figures and as a page with images."""

import json
from pathlib import Path
from typing import Any

from genie_gym.analysis.config import InspectConfig
from genie_gym.analysis.findings import InspectReport, analyse
from genie_gym.analysis.report import draw_page
from genie_gym.analysis.samples import imagined_clips, recorded_clips
from genie_gym.data import EpisodeDataset
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write, check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.options import make_config
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_given, resolve_dataset

__all__ = ["inspect"]

FRAMES_PER_CLIP = 16


@kept_global_state()
def inspect(
    checkpoint: InspectConfig | Checkpoint | str | Path, dataset: EpisodeDataset | None = None, **options: Any
) -> InspectReport:
    """Analyse a model and write report.html and figures.json; the same call gives the same figures.

    Args:
        checkpoint: A loaded checkpoint, a game's name, a checkpoint folder, or the id of a model on the hub; or a whole
            configuration.
        dataset: Episodes of its game, of which the held-out ones are used; by default those of the option `data`.
            Where there are none, the model is analysed on imagined rollouts, which says less: it knows its own frames.
        options: Fields of `InspectConfig`, where no configuration is given.

    Raises:
        ConfigError: An option is out of range, or the dataset has other actions than the model.
        DataError: No held-out episode is long enough, or the folder cannot be written.
        CheckpointError: There is no such checkpoint.
    """
    config = _configuration(checkpoint, options)
    use_threads(config.threads)
    check_writable(Path(config.out))
    loaded = load_given(checkpoint, config.checkpoint, config.device, config.game)
    dataset = _find_dataset(loaded.game["name"], config.data) if dataset is None else dataset
    if dataset is None:
        clips = imagined_clips(loaded, config.clips, FRAMES_PER_CLIP, config.seed)
    else:
        clips = recorded_clips(loaded, dataset, config.clips, FRAMES_PER_CLIP, config.seed)
    findings = analyse(loaded, clips, config.seed)
    report = InspectReport(
        game=loaded.game["name"],
        source="imagined rollouts" if dataset is None else "held-out episodes",
        dataset=None if dataset is None else str(dataset.folder),
        clips=config.clips,
        frames_per_clip=FRAMES_PER_CLIP,
        seed=config.seed,
        actions=[action["meaning"] for action in loaded.game["actions"]],
        figures=findings.figures(),
        page=Path(config.out) / "report.html",
    )
    atomic_write(Path(config.out) / "figures.json", json.dumps(report.to_dict(), indent=1).encode())
    atomic_write(report.page, draw_page(loaded, findings, report).encode())
    return report


def _configuration(checkpoint: InspectConfig | Checkpoint | str | Path, options: dict[str, Any]) -> InspectConfig:
    if isinstance(checkpoint, InspectConfig):
        return make_config(InspectConfig, checkpoint, options)
    name = checkpoint.game["name"] if isinstance(checkpoint, Checkpoint) else str(checkpoint)
    return make_config(InspectConfig, None, {"checkpoint": name, **options})


def _find_dataset(game: str, folder: Path | None) -> EpisodeDataset | None:
    """Return the dataset of the folder given, or the game's own if there is one."""
    exists = (paths.data_dir(game) / "recording.json").is_file()
    return resolve_dataset(game, folder) if folder is not None or exists else None
