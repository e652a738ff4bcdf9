"""A table of the paper: its rows and figures, and what should hold between them."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.paper.experiment import PaperExperiment

__all__ = ["COINRUN", "PLATFORMERS", "Claim", "Results", "Row", "Table"]

Row = dict[str, float | None]  # figures by the names of `scores.METRICS`; the paper's also by "fid"
Rows = dict[str, Row]
Results = dict[str, dict[str, dict[str, list[float | None]]]]  # game, row, metric: one value per seed

COINRUN = ("CoinRun-Procgen",)
PLATFORMERS = ("Kangaroo-Atari2600", "Hero-Atari2600")  # `genie-gym roms import --ale` brings them


@dataclass(frozen=True)
class Claim:
    """A claim of the paper: a metric of one row lies above that of another."""

    metric: str
    above: str
    below: str


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Attributes:
        number: Number in the paper.
        title: Title in the paper.
        about: What is measured here, and how.
        games: Games by default.
        paper: The paper's figures by game and row; the first game's are shown beside games that it has not.
        claims: What should hold.
        measure: Function that returns all rows of one seed by game, or by several games together.
    """

    number: int
    title: str
    about: str
    games: tuple[str, ...]
    paper: dict[str, Rows]
    claims: tuple[Claim, ...]
    measure: Callable[[PaperExperiment, int], dict[str, Rows]]

    def paper_for(self, game: str) -> tuple[str, Rows]:
        """Return the paper's game nearest to one that was measured, and its figures."""
        nearest = game if game in self.paper else next(iter(self.paper))
        return nearest, self.paper[nearest]
