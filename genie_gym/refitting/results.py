"""Results of the rounds of a refit, kept in figures.json of each round."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from genie_gym.errors import CheckpointError
from genie_gym.evaluation.config import COMPARED_STEP
from genie_gym.exploration.coverage import CoverageReport
from genie_gym.exploration.explore import ExploreReport
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import from_jsonable
from genie_gym.utils.run_config import read_run_file

__all__ = [
    "AgentTraining",
    "Collection",
    "Comparison",
    "Coverage",
    "Finetuning",
    "ModelScore",
    "RefitReport",
    "RoundReport",
]


SCORED = ("new", "old", "test")  # names of the datasets that models are compared on


@dataclass(frozen=True)
class AgentTraining:
    """Training of the agent that collects, in imagination or in the real game.

    Attributes:
        seconds: Training time.
        steps: Number of steps.
        reward: Mean reward at the last update, see `ExploreMetrics`.
        visited_cells: Number of cells visited in training.
        visited_positions: Number of positions of the player in training; None if they are unknown.
        episode_length: Mean length of the last episodes; None before the first episode has ended.
        game_return: Mean return of the last episodes in the game's own reward; None as above.
    """

    seconds: float
    steps: int
    reward: float
    visited_cells: int
    visited_positions: int | None = None
    episode_length: float | None = None
    game_return: float | None = None

    @classmethod
    def of(cls, report: ExploreReport) -> "AgentTraining":
        """Summarise a finished training.

        Raises:
            CheckpointError: It was finished by an earlier call, whose metrics are lost.
        """
        if report.metrics is None:  # a finished training has had an update
            raise CheckpointError(f"{report.agent} is damaged: it has no metrics; remove {report.agent.parent}")
        return cls(report.seconds, report.steps, **asdict(report.metrics))


@dataclass(frozen=True)
class Collection:
    """Collection of episodes.

    Attributes:
        seconds: Wall time.
        episodes: Number of episodes.
        steps: Number of steps.
    """

    seconds: float
    episodes: int
    steps: int


@dataclass(frozen=True)
class Finetuning:
    """Finetuning of the world model.

    Attributes:
        seconds: Training time.
        decoder: Metrics of the decoder on held-out episodes, "psnr" in dB among them.
        dynamics: Metrics of the dynamics on held-out episodes, "cross_entropy" in nats among them.
    """

    seconds: float
    decoder: dict[str, float]
    dynamics: dict[str, float]


@dataclass(frozen=True)
class Coverage:
    """State coverage of the old and the new episodes.

    Attributes:
        seconds: Wall time.
        runs: One report for each run; empty if the coverage could not be measured.
        error: Why it could not be measured; None if it was.
    """

    seconds: float
    runs: tuple[CoverageReport, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class ModelScore:
    """Scores of one model on held-out episodes.

    Attributes:
        evaluation: Results of `genie_gym.evaluation.evaluate.evaluate` as JSON values.
        uncertainty: Mean AutoExplore reward of the episodes, 0 to 2; None if it is not finite.
    """

    evaluation: dict[str, Any]
    uncertainty: float | None

    @property
    def psnr(self) -> list[float]:
        """PSNR of predicted frames by step, in dB."""
        return self.evaluation["prediction"]["psnr"]

    @property
    def reconstruction_psnr(self) -> float:
        """PSNR of encoded and decoded frames, in dB."""
        return self.evaluation["reconstruction"]["psnr"]

    @property
    def moving_psnr(self) -> list[float | None]:
        """PSNR over moving pixels by step, in dB; None where nothing moves."""
        return self.evaluation["prediction"]["moving_psnr"]

    @property
    def ssim(self) -> list[float]:
        """Structural similarity by step."""
        return self.evaluation["prediction"]["ssim"]

    @property
    def delta_psnr(self) -> float:
        """Controllability at t = 4, in dB."""
        return self.evaluation["controllability"]["delta_psnr"]

    @property
    def delta_psnr_error(self) -> float | None:
        """Standard error of the controllability; None for a single clip."""
        return self.evaluation["controllability"]["delta_psnr_error"]

    def main_figures(self) -> dict[str, float | None]:
        """Return the main figures under their titles in tables."""
        step = COMPARED_STEP - 1
        return {
            "PSNR of reconstruction, dB": self.reconstruction_psnr,
            "PSNR t = 1, dB": self.psnr[0],
            "PSNR t = 4, dB": self.psnr[step],
            "PSNR t = 4, moving pixels, dB": self.moving_psnr[step],
            "SSIM t = 4": self.ssim[step],
            "delta-PSNR t = 4, dB": self.delta_psnr,
            "standard error": self.delta_psnr_error,
            "intrinsic reward": self.uncertainty,
        }


@dataclass(frozen=True)
class Comparison:
    """Scores of the models with and without refit on the same held-out episodes.

    Attributes:
        seconds: Wall time.
        dataset: Folder of the dataset.
        base: Scores of the model before the first round.
        refitted: Scores of the model after this round.
    """

    seconds: float
    dataset: str
    base: ModelScore
    refitted: ModelScore


@dataclass(frozen=True)
class RoundReport:
    """Results of one round; None for parts that are not done.

    Attributes:
        imagined: Pretraining of the agent in imagination.
        exploration: Training of the agent in the real game.
        collection: Collection with the agent or another policy.
        finetuning: Finetuning of the world model.
        coverage: State coverage of the old episodes and the new ones.
        scores: Comparison of the models on "new", "old" and "test" episodes, as far as they are evaluated.
    """

    imagined: AgentTraining | None = None
    exploration: AgentTraining | None = None
    collection: Collection | None = None
    finetuning: Finetuning | None = None
    coverage: Coverage | None = None
    scores: dict[str, Comparison] = field(default_factory=dict)

    @property
    def started(self) -> bool:
        """Whether any part is done."""
        return self != RoundReport()

    @property
    def seconds(self) -> float:
        """Time of all parts together."""
        parts = (self.imagined, self.exploration, self.collection, self.finetuning, self.coverage)
        return sum(part.seconds for part in (*parts, *self.scores.values()) if part is not None)

    def save(self, path: Path) -> None:
        """Write the report as JSON.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        atomic_write(path, json.dumps(asdict(self), indent=1, default=str).encode())

    @classmethod
    def load(cls, path: Path) -> "RoundReport":
        """Read a report that `save` wrote; an empty one if there is no such file.

        Raises:
            CheckpointError: The file is damaged.
        """
        if not path.exists():
            return cls()
        try:
            values = read_run_file(path)
            if missing := {one.name for one in fields(cls)} - values.keys():
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
            return _checked(from_jsonable(cls, values))
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged ({error}); remove {path.parent} to start again") from error


def _checked(report: RoundReport) -> RoundReport:
    """Check the parts that types do not tell: names that become paths, and the figures that are shown.

    Raises:
        ValueError: One is not as `RoundReport.save` writes it.
    """
    for name, comparison in report.scores.items():
        if name not in SCORED:
            raise ValueError(f"it has scores on {name!r:.40} episodes")
        for score in (comparison.base, comparison.refitted):
            try:
                from_jsonable(dict[str, float | None], score.main_figures(), f"scores on {name} episodes")
                from_jsonable(list[float], score.psnr, "psnr")
            except (LookupError, TypeError) as error:
                raise ValueError(f"scores on {name} episodes lack {error}") from error
    return report


@dataclass(frozen=True)
class RefitReport:
    """Result of a refit.

    Attributes:
        game: Name of the game.
        folder: Folder of the run.
        rounds: Results of each round that was started.
        checkpoint: The refitted model; the one the run started from if no round has got that far.
        page: The report for a browser; None if it could not be written.
        stopped: What was interrupted, such as "round 1, finetuning"; None if the refit is finished.
    """

    game: str
    folder: Path
    rounds: list[RoundReport]
    checkpoint: Path
    page: Path | None
    stopped: str | None = None

    @property
    def finished(self) -> bool:
        """Whether all rounds are done."""
        return self.stopped is None

    def __rich__(self) -> Table:
        table = Table(title=f"{self.game}: with (without) refit", box=box.SIMPLE_HEAD)
        titles = ("PSNR t = 4, dB", "SSIM t = 4", "delta-PSNR t = 4, dB", "intrinsic reward")
        table.add_column("round, episodes", no_wrap=True)
        for title in titles:
            table.add_column(title, justify="right")
        for number, one in enumerate(self.rounds, 1):
            for name, scores in one.scores.items():
                with_, without = scores.refitted.main_figures(), scores.base.main_figures()
                table.add_row(f"{number}, {name}", *(f"{_short(with_[k])} ({_short(without[k])})" for k in titles))
        return table


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
