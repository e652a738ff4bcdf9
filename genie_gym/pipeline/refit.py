"""Rounds of exploring, collecting and tuning: what the model is unsure of is looked for and learned (section 4)."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from genie_gym import games, paths
from genie_gym.checks import at_least
from genie_gym.data import Recording
from genie_gym.devices import use_threads
from genie_gym.errors import ConfigError
from genie_gym.pipeline.evaluate import check_actions
from genie_gym.pipeline.fit_data import check_game
from genie_gym.pipeline.refit_config import RefitConfig
from genie_gym.pipeline.refit_page import write_page
from genie_gym.pipeline.refit_round import Round, Stopped
from genie_gym.pipeline.refit_score import main_figures, scores_of
from genie_gym.pipeline.settings import same_settings
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import find_weights

if TYPE_CHECKING:
    from genie_gym.sb3 import ExplorerConfig

__all__ = ["RefitReport", "refit"]


@dataclass(frozen=True)
class RefitReport:
    """How far a refit has come.

    Attributes:
        game: its name.
        folder: of the run.
        rounds: figures of each round that was begun, by its parts, as in its figures.json.
        checkpoint: the refitted model, or the one it began with where no round has come so far.
        page: the report for a browser.
        stopped: what was being done when it was interrupted; None where it came to its end.
    """

    game: str
    folder: Path
    rounds: list[dict[str, Any]]
    checkpoint: Path
    page: Path
    stopped: str | None = None

    @property
    def finished(self) -> bool:
        return self.stopped is None

    def __rich__(self) -> Table:
        table = Table(title=f"{self.game}: with (without) refit", box=box.SIMPLE_HEAD)
        shown = ("PSNR t = 4, dB", "SSIM t = 4", "delta-PSNR t = 4, dB", "intrinsic reward")
        table.add_column("round, play", no_wrap=True)
        for name in shown:
            table.add_column(name, justify="right")
        for number, figures in enumerate(self.rounds, 1):
            for place, scored in scores_of(figures).items():
                mine, other = (main_figures(scored[model]) for model in ("with", "without"))
                table.add_row(f"{number}, {place}", *(f"{_short(mine[k])} ({_short(other[k])})" for k in shown))
        return table


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def refit(
    game: str,
    *,
    rounds: int = 1,
    config: RefitConfig | None = None,
    checkpoint: str | Path | None = None,
    data: str | Path | None = None,
    test: str | Path | None = None,
    out: str | Path | None = None,
    run: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: bool = True,
    explorer: "ExplorerConfig | None" = None,
) -> RefitReport:
    """Makes a world model better by play that it is unsure of; the same call goes on where an interrupted one stopped.

    Each round trains an explorer on the uncertainty of the model as it is, in its dreams first if asked for, collects
    with it, tunes the model's decoder and then its dynamics on old and new play, and scores the model with and without
    refit on play that neither was trained on. New play is, in equal shares, what the explorer learned from and what was
    collected after that. All of a round lies in its own folder of the run: dreamer/ (the agent after its dreams),
    explorer/, learning/ (the play it learned from), data/ (what was collected), decoder/, dynamics/, checkpoint/,
    figures.json.

    Args:
        game: canonical name; its emulator has to be installed.
        rounds: in all, those of earlier calls included.
        config: what a round does.
        checkpoint: the model to begin with, a folder or hub id; the game's own weights by default.
        data: recording that the model was fitted to; `paths.data_dir(game)` by default.
        test: recording to score on and never to train on, of an agent trained on the game's own reward, say.
        out: folder for the refitted checkpoint, besides the last round's.
        run: folder of everything; below `paths.home()/runs` by default.
        workers: processes that collect; as many as there are cores by default.
        device: of explorer, reward and scoring: "auto", "cpu" or "cuda".
        threads: CPU threads; torch's choice by default.
        progress: shows bars.
        explorer: how the agent learns.

    Raises:
        ConfigError: an option out of range, a recording of another game or with other actions, or the run was begun
            with other settings.
        CheckpointError: the game has no weights.
        DataError: there is no recording, or its episodes are too short.
        GameError, MissingExtraError: the game does not start, or the extra `sb3` is missing.

    Scripts must call it under `if __name__ == "__main__":`, because the emulators' processes import the script.
    """
    at_least(1, rounds=rounds, workers=workers)
    use_threads(threads)
    name, chosen = games.find(game).name, config or RefitConfig()
    folder = Path(run or paths.home() / "runs" / f"{name}-refit-{chosen.data_from}-{chosen.seed}")
    old, unseen = Recording(data or paths.data_dir(name)), Recording(test) if test else None
    if unseen is not None and unseen.folder.resolve() == old.folder.resolve():
        raise ConfigError(f"{test} is what the model is trained on; give play that it never sees as test")
    _begin(name, folder, chosen, checkpoint, old, unseen)
    options = {"workers": workers, "device": device, "progress": progress, "explorer": explorer}
    made = [Round(name, folder, number, chosen, old, unseen, options) for number in range(1, rounds + 1)]
    if (folder / f"round-{rounds + 1}" / "figures.json").is_file():
        raise ConfigError(f"{folder} has more than {rounds} round(s) already; ask for as many, or give another --run")
    stopped = _play_all(made)
    page = write_page(folder, name, [one.figures for one in made])
    checkpoints = [folder / "round-0" / "checkpoint", *(one.checkpoint for one in made)]
    last = [place for place in checkpoints if (place / "config.json").is_file()][-1]
    if out is not None and stopped is None:
        Checkpoint.load(last).save_over(out)
    return RefitReport(name, folder, [one.figures for one in made if one.figures], last, page, stopped)


def _begin(
    name: str,
    folder: Path,
    config: RefitConfig,
    checkpoint: str | Path | None,
    old: Recording,
    unseen: Recording | None,
) -> None:
    """Checks that everything fits, and puts the model to begin with into the run, where nothing overwrites it."""
    base = folder / "round-0" / "checkpoint"
    there = (base / "config.json").is_file()
    loaded = Checkpoint.from_pretrained(base if there else find_weights(name, checkpoint)[0])
    for recording in (old, unseen):
        if recording is not None:
            check_game(name, recording)
            check_actions(loaded, recording)
    asked = {"game": name, "checkpoint": paths.absolute(checkpoint), "data": str(old.folder.absolute())}
    parts = asdict(config)
    tuning = {key: value for key, value in parts.pop("tune").items() if key != "seed"}
    same_settings(folder / "settings.json", asked | parts | tuning)
    if not there:
        loaded.save(base)


def _play_all(rounds: list[Round]) -> str | None:
    try:
        for one in rounds:
            one.play()
    except Stopped as stopped:
        return str(stopped)
    return None
