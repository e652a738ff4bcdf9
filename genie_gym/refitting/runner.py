"""Refit of a world model: rounds of exploration, collection, finetuning and evaluation (paper section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError, failing_softly
from genie_gym.evaluation.actions import check_actions
from genie_gym.refitting.config import RefitConfig
from genie_gym.refitting.report import write_page
from genie_gym.refitting.results import RefitReport
from genie_gym.refitting.round import Round, Stopped
from genie_gym.utils import paths
from genie_gym.utils.atomic import check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.extras import require
from genie_gym.utils.options import make_config
from genie_gym.utils.run_config import check_run_config
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.real_game import named_options, real_game, with_env
from genie_gym.world_model.resolve import check_game, resolve_checkpoint

if TYPE_CHECKING:  # loads Stable-Baselines3
    from genie_gym.sb3.config import ExplorerConfig

__all__ = ["refit"]


@kept_global_state()
def refit(
    source: str | Callable[..., gym.Env] | RefitConfig | None = None,
    /,
    *,
    progress: bool = True,
    explorer: "ExplorerConfig | None" = None,
    **options: Any,
) -> RefitReport:
    """Improve a world model with episodes of an explorer that seeks what the model is uncertain of.

    Each round trains an explorer on the uncertainty of the current model, first in imagination if asked for, collects
    episodes with it, finetunes the model's decoder and then its dynamics on old and new episodes, and evaluates the
    models with and without refit on held-out episodes. The new episodes are, in equal shares, those of the explorer's
    training and those collected with it. Each round has its own folder in the run, see `Round`.

    Resumable: call it again with the same settings. With more rounds it adds to those that are done.

    Args:
        source: Name of the game, whose emulator must be installed; or a whole configuration; or, with the option
            `game`, your own environment, as in `collect`.
        progress: Whether to show how far it is.
        explorer: Hyper-parameters of the agent.
        options: Fields of `RefitConfig`, where no configuration is given.

    Raises:
        ConfigError: An option is out of range, a dataset is of another game or has other actions, or the run was begun
            with other settings.
        CheckpointError: The game has no weights.
        DataError: There is no dataset, or its episodes are too short.
        GameError: The game does not start.
        MissingExtraError: The extra `sb3` or `train` is not installed.

    Scripts must call it under `if __name__ == "__main__":`, because the emulators' processes import the script.
    """
    require("matplotlib")  # for the report at the end: reported before the work
    if isinstance(source, RefitConfig):
        config = _resolved(make_config(RefitConfig, source, options))
    else:
        config = _resolved(make_config(RefitConfig, None, named_options(source, options)))
    use_threads(config.threads)
    name = f"{config.game}-refit-{config.policy_source}-{config.seed}"
    folder = Path(config.run or paths.home() / "runs" / name)
    old, test = _open_datasets(config)
    _prepare(config, folder, [old] if test is None else [old, test])
    numbers = range(1, config.rounds + 1)
    rounds = [Round(config, folder, n, old=old, test=test, progress=progress, explorer=explorer) for n in numbers]
    if (folder / f"round-{config.rounds + 1}" / "figures.json").is_file():
        raise ConfigError(
            f"{folder} has more than {config.rounds} round(s) already; ask for as many, or give another --run"
        )
    return _report(config, folder, rounds, _run_all(rounds))


def _resolved(config: RefitConfig) -> RefitConfig:
    """The configuration with the canonical name of its game and the folder of its dataset."""
    spec = real_game(config.game, config, config.data, config.checkpoint)
    return replace(with_env(config, spec), data=Path(config.data or paths.data_dir(spec.name)))


def _open_datasets(config: RefitConfig) -> tuple[EpisodeDataset, EpisodeDataset | None]:
    """The dataset the model was trained on, and the one to test on."""
    assert config.data is not None
    old, test = EpisodeDataset(config.data), EpisodeDataset(config.test) if config.test else None
    if test is not None and test.folder.resolve() == old.folder.resolve():
        raise ConfigError(f"the model is trained on {config.test}; give episodes that it never sees as test")
    return old, test


def _prepare(config: RefitConfig, folder: Path, datasets: Sequence[EpisodeDataset]) -> None:
    """Check that model, datasets and run fit together, and copy the model into the run, where nothing overwrites it."""
    base = folder / "round-0" / "checkpoint"
    copied = (base / "config.json").is_file()
    place = base if copied else resolve_checkpoint(config.checkpoint, config.game)
    loaded = Checkpoint.from_pretrained(place, game=config.game)  # of a model of many games, that one
    for dataset in datasets:
        check_game(config.game, dataset)
        check_actions(loaded, dataset)
    if config.out is not None:
        check_writable(config.out)
    check_run_config(folder / "settings.json", config.identity())
    if not copied:
        loaded.save(base)


def _run_all(rounds: Sequence[Round]) -> str | None:
    """Run the rounds; the part that was interrupted, if any."""
    try:
        for one in rounds:
            one.run()
    except Stopped as stopped:
        return str(stopped)
    return None


def _report(config: RefitConfig, folder: Path, rounds: Sequence[Round], stopped: str | None) -> RefitReport:
    reports, page = [one.report for one in rounds], None
    checkpoints = [folder / "round-0" / "checkpoint", *(one.checkpoint for one in rounds)]
    last = [place for place in checkpoints if (place / "config.json").is_file()][-1]
    with failing_softly(f"the report of the refit in {folder}"):
        page = write_page(folder, config.identity(), reports)
    if config.out is not None and stopped is None:
        Checkpoint.load(last).save(config.out)
    return RefitReport(config.game, folder, [one for one in reports if one.started], last, page, stopped)
