"""Training of the head that tells whether an episode ended, and replacing that of a checkpoint."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genie_gym.data import EpisodeDataset
from genie_gym.training.checks.beforehand import own_place
from genie_gym.training.config import TerminationTrainConfig, as_config
from genie_gym.training.finetune import with_model_actions
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.records import software_used
from genie_gym.training.termination import train_termination
from genie_gym.utils import paths
from genie_gym.utils.atomic import check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.parallel.processes import first_process_first, join_processes, process_number
from genie_gym.utils.run_config import check_run_config
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.many_games import require_one_game
from genie_gym.world_model.resolve import check_game, resolve_checkpoint

__all__ = ["TerminationReport", "replace_termination"]

RECIPE = TrainerConfig(steps=1, batch_size=16, lr=1e-3, warmup=20, validate_every=500)


@dataclass(frozen=True)
class TerminationReport:
    """How the training of the head ended.

    Attributes:
        checkpoint: Folder of the checkpoint that has the head now; None if interrupted.
        training: How the training ended; its metrics are those of `train_termination`.
    """

    checkpoint: Path | None
    training: StageReport

    @property
    def finished(self) -> bool:
        """Whether the checkpoint was written."""
        return self.checkpoint is not None


@kept_global_state()
def replace_termination(checkpoint: str | Path | TerminationTrainConfig, **options: Any) -> TerminationReport:
    """Train a head that tells the ends of episodes from the frames, and put it into a checkpoint.

    Frames and rewards of the world model stay as they are, bit for bit. Resumable: repeat the call.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub; or a whole configuration.
        options: Fields of `TerminationTrainConfig`, if no configuration is given.

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
        DataError: There is no dataset, or the game ended none of its episodes.
        ConfigError: An option is out of range, a dataset is of another game, the run was started with other settings,
            or a model on the hub has no folder to go to.
    """
    config = as_config(TerminationTrainConfig, checkpoint, options)
    use_threads(config.threads)
    place = resolve_checkpoint(config.checkpoint)
    loaded = Checkpoint.from_pretrained(config.checkpoint, game=config.game)
    require_one_game(loaded)
    game = loaded.game["name"]
    datasets = [EpisodeDataset(folder) for folder in config.data or (paths.data_dir(game),)]
    for one in datasets:
        check_game(game, one)
    datasets = [with_model_actions(loaded, one) for one in datasets]
    run = Path(config.run or paths.home() / "runs" / f"{game}-termination-{config.seed}")
    out = Path(config.out or own_place(place, game))
    check_writable(out)
    join_processes()
    with first_process_first():
        check_run_config(run / "settings.json", _settings(config, loaded, datasets))
    recipe = replace(RECIPE, steps=config.steps, seed=config.seed)
    report = train_termination(loaded.model, datasets, recipe, run, config.clips)
    if not report.finished:
        return TerminationReport(None, report)
    loaded.metadata = replace(loaded.metadata, termination=_description(datasets, report, config.seed))
    with first_process_first():
        if process_number() == 0:
            loaded.save(out)
    return TerminationReport(out, report)


def _settings(config: TerminationTrainConfig, checkpoint: Checkpoint, datasets: list[EpisodeDataset]) -> dict[str, Any]:
    """What determines the weights, and must stay the same when a run is resumed."""
    return {
        "model": checkpoint.model.fingerprint,
        "data": [str(one.folder.absolute()) for one in datasets],
        **{name: getattr(config, name) for name in ("steps", "clips", "seed")},
    }


def _description(datasets: list[EpisodeDataset], report: StageReport, seed: int) -> str:
    """How the head was made, for the checkpoint's metadata."""
    episodes, frames = sum(map(len, datasets)), sum(int(one.lengths.sum()) for one in datasets)
    recall, alarms = (report.metrics[name] for name in ("recall", "false_alarms"))
    return (
        f"read from the frame by a head trained alone, {report.steps} steps, {report.seconds / 60:.1f} minutes, seed "
        f"{seed}, on {episodes} episodes of {frames} frames; held out: recall {recall:.3f}, false alarms {alarms:.1e} "
        f"a step; made with {software_used()}"
    )
