"""What a table is: rows as the paper names them, its figures, and what it says of them."""

from collections.abc import Callable
from dataclasses import dataclass

from paper_tables.lab import Lab

__all__ = ["COINRUN", "PLATFORMERS", "Claim", "Found", "Row", "Table"]

Row = dict[str, float | None]  # figures by the names of `scores.METRICS`; the paper's also by "fid"
Rows = dict[str, Row]
Found = dict[str, dict[str, dict[str, list[float | None]]]]  # subject, row, metric: one value a seed

COINRUN = ("CoinRun-Procgen",)
PLATFORMERS = ("Kangaroo-Atari2600", "Hero-Atari2600")  # `genie-gym roms import --ale` brings them


@dataclass(frozen=True)
class Claim:
    """What the paper's figures say: a metric of one row lies above that of another."""

    metric: str
    above: str
    below: str


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Attributes:
        number, title: the paper's.
        about: what is measured here, and how.
        games: what it is made of where the user does not say.
        paper: the paper's figures by game and row; where it has not the game that was asked for, the first are shown.
        claims: what should hold.
        measure: all rows of one seed, by subject: a game, or several together.
    """

    number: int
    title: str
    about: str
    games: tuple[str, ...]
    paper: dict[str, Rows]
    claims: tuple[Claim, ...]
    measure: Callable[[Lab, int], dict[str, Rows]]

    def paper_for(self, subject: str) -> tuple[str, Rows]:
        """The paper's game nearest to a subject, and its figures."""
        game = subject if subject in self.paper else next(iter(self.paper))
        return game, self.paper[game]
