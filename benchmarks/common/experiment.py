"""Experiments of many resumable runs, each of which is executed once and then read from its folder."""

import argparse
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common.machine import join_machines, machine_facts
from benchmarks.common.results import Figures
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset
from genie_gym.errors import GenieGymError
from genie_gym.exploration.explore import explore
from genie_gym.refitting.results import RoundReport
from genie_gym.refitting.runner import refit
from genie_gym.training.config import FinetuneConfig
from genie_gym.training.finetune import finetune_checkpoint
from genie_gym.training.world_model import train
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.utils.run_config import check_run_config, read_run_file
from genie_gym.world_model import Checkpoint

if TYPE_CHECKING:
    from genie_gym.sb3 import ExplorerConfig

__all__ = ["Experiment", "Stopped", "command_line", "options_of", "run_script"]


class Stopped(Exception):
    """A run was interrupted; the message names it."""


class Experiment:
    """A folder of named runs with the same settings.

    A run has a folder of its own and leaves its result there in run.json, so that an interrupted experiment is resumed
    by the same command. Runs that need other runs request them before they start, or their time would count twice.

    Args:
        work: Folder of all runs.
        settings: Plain values that all runs have in common.
        workers: Processes that collect episodes; None for one per core.

    Attributes:
        seconds: Duration in seconds of each run requested so far, by name.
        progress: Whether progress bars are shown.

    Raises:
        ConfigError: The folder was started with other settings.
    """

    def __init__(self, work: Path, settings: Figures, workers: int | None = 1):
        self.work, self.workers = work, workers
        self.seconds: dict[str, float] = {}
        self.progress = sys.stderr.isatty()
        self._here, self._machines = machine_facts(), list[Figures]()
        check_run_config(work / "settings.json", settings)

    @property
    def hours(self) -> float:
        """Duration of all runs requested so far."""
        return round(sum(self.seconds.values()) / 3600, 2)

    def machine(self) -> Figures:
        """Return on which machines, and with which code, the runs requested so far were executed."""
        return join_machines(self._machines)

    def run(self, name: str, execute: Callable[[Path], Figures]) -> tuple[Path, Figures]:
        """Return the folder and the result of a run, which is executed if it has not been yet.

        Args:
            name: Path of the run's folder below `work`.
            execute: Function of the folder that returns the result; it resumes from what an interrupted call left.
        """
        folder = self.work / name
        path = folder / "run.json"
        record: Figures = read_run_file(path) if path.is_file() else {"seconds": 0.0, "machines": []}
        if "result" not in record:
            print(name, flush=True)
            started = time.monotonic()
            record["machines"].append(self._here)
            try:
                record["result"] = to_jsonable(execute(folder))
            finally:
                record["seconds"] = round(record["seconds"] + time.monotonic() - started, 1)
                atomic_write(path, json.dumps(record, indent=1).encode())
        self.seconds[name] = record["seconds"]
        self._machines += record["machines"]
        return folder, record["result"]

    def collect(self, name: str, game: str, policy: str | Path = "random", **options: Any) -> Path:
        """Record episodes of a game; return the folder of the dataset.

        Args:
            options: Options of `genie_gym.collection.collect`: steps, seed, epsilon, max_steps.
        """

        def execute(folder: Path) -> Figures:
            where: dict[str, Any] = {"out": folder / "data", "workers": self.workers, "progress": self.progress}
            report = collect(game, policy=str(policy), **where, **options)
            if report.interrupted:
                raise Stopped(name)
            return {"episodes": report.total_episodes, "steps": report.total_steps}

        return self.run(name, execute)[0] / "data"

    def explore(
        self, name: str, game: str, *, record: bool = False, explorer: "ExplorerConfig | None" = None, **options: Any
    ) -> tuple[Path, Figures]:
        """Train an agent; return its folder and the figures of its training.

        Args:
            record: Whether the episodes it learns from are kept, in the folder "data" beside the agent's.
            explorer: How the agent learns.
            options: Other options of `genie_gym.exploration.explore`.
        """

        def execute(folder: Path) -> Figures:
            where: dict[str, Any] = {"out": folder / "agent", "record": folder / "data" if record else None}
            report = explore(game, explorer=explorer, progress=self.progress, **where, **options)
            if report.metrics is None or not report.finished:
                raise Stopped(name)
            return {"steps": report.steps, "minutes": report.seconds / 60, **asdict(report.metrics)}

        folder, figures = self.run(name, execute)
        return folder / "agent", figures

    def train(
        self,
        name: str,
        game: str,
        data: Path,
        *,
        seed: int = 0,
        preset: str = "tiny-transformer",
        preset_overrides: dict[str, Any] | None = None,
        latent_actions: int = 0,
        tokenizer_from: Path | None = None,
    ) -> Path:
        """Train a world model; return the folder of its checkpoint.

        Args:
            data: Folder of the dataset.
            preset_overrides: Fields of the preset to replace.
            latent_actions: Number of latent actions in place of the recorded ones (GenieRedux rather than
                GenieRedux-G); 0 for the recorded ones.
            tokenizer_from: Checkpoint that `train` returned for the same dataset and seed, to share its tokenizer.
        """

        def execute(folder: Path) -> Figures:
            if tokenizer_from is not None:
                share_tokenizer(tokenizer_from.parent / "run", folder / "run")
            report = train(
                game,
                preset=preset,
                data=data,
                out=folder / "checkpoint",
                run=folder / "run",
                seed=seed,
                latent_actions=latent_actions,
                preset_overrides=preset_overrides,
            )
            if not report.finished:
                raise Stopped(name)
            return {stage: report.stages[stage].metrics for stage in ("tokenizer", "dynamics")}

        return self.run(name, execute)[0] / "checkpoint"

    def finetune(
        self,
        name: str,
        checkpoint: Path,
        datasets: Sequence[Path],
        *,
        decoder_steps: int,
        dynamics_steps: int,
        seed: int,
    ) -> Path:
        """Finetune a world model on datasets, drawn from equally often; return the folder of its checkpoint."""

        def execute(folder: Path) -> Figures:
            config = FinetuneConfig(decoder_steps=decoder_steps, dynamics_steps=dynamics_steps, seed=seed)
            new = [EpisodeDataset(data) for data in datasets]
            report = finetune_checkpoint(Checkpoint.load(checkpoint), new, config, folder)
            if report.checkpoint is None or report.dynamics is None:
                raise Stopped(name)
            report.checkpoint.save(folder / "checkpoint")
            return {"decoder": report.decoder.metrics, "dynamics": report.dynamics.metrics}

        return self.run(name, execute)[0] / "checkpoint"

    def refit(self, game: str, folder: Path, **options: Any) -> list[RoundReport]:
        """Refit a world model in rounds, inside another run; return the report of each round.

        Args:
            folder: Folder of the refit; rounds that it holds are not repeated.
            options: Other options of `genie_gym.refitting.runner.refit`.
        """
        report = refit(game, run=folder, workers=self.workers, progress=self.progress, **options)
        if not report.finished:
            raise Stopped(report.stopped)
        return report.rounds


def share_tokenizer(source: Path, target: Path) -> None:
    """Copy the trained tokenizer of one training run to another one, which then uses it as it is."""
    if (target / "tokenizer").exists():
        return
    partial = target / "tokenizer-copy"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source / "tokenizer", partial)
    partial.rename(target / "tokenizer")


def run_script(main: Callable[[], None]) -> int:
    """Run a script's main function; report an interruption or an error in one line, and return the exit status."""
    try:
        main()
    except (KeyboardInterrupt, Stopped) as stopped:
        print(f"stopped ({stopped}); run the same command again to resume", file=sys.stderr)
        return 130
    except GenieGymError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def options_of(options: argparse.Namespace, without: Sequence[str]) -> Figures:
    """Return the options by name, except for some."""
    return {name: value for name, value in vars(options).items() if name not in without}


def command_line(module: str, words: Sequence[str], options: Figures) -> str:
    """Return the command that reproduces a result.

    Args:
        module: Name of the script below `benchmarks`.
        words: Positional arguments and options given as they are.
        options: Other options by name; a list gives an option with several values.
    """
    command = ["python", "-m", f"benchmarks.{module}", *words]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(command)
