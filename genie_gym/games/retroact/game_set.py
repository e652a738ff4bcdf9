"""Sets of games, chosen by their annotations in RetroAct's table or our own."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genie_gym.errors import GameError
from genie_gym.games import catalogue
from genie_gym.games.factory import available
from genie_gym.games.retroact.published import PLATFORMERS_50, find_file
from genie_gym.games.retroact.query import GameQuery
from genie_gym.games.retroact.table import Annotation, load, load_names, load_own
from genie_gym.utils.options import make_config

__all__ = ["GameSet"]


@dataclass(frozen=True)
class GameSet:
    """A set of annotated games, in the order of their table.

    Example::

        platformers = GameSet.choose(genre="pl", view="side", action="PRIMARY=jump")
        for game in platformers.available:
            genie_gym.collect(game, steps=1000)

    Attributes:
        annotations: The annotations of its games.
    """

    annotations: tuple[Annotation, ...]

    @classmethod
    def choose(cls, query: GameQuery | None = None, **options: Any) -> "GameSet":
        """Return the games that a query asks for.

        Args:
            query: The query.
            options: Fields of `GameQuery`, in place of one: `genre="pl"`, `platform=("Nes", "Snes")`.

        Raises:
            GameError: A file is missing or is no table, or a list names games that the table lacks.
            ConfigError: A value does not occur in the table, or an option is unknown.

        >>> GameSet.choose(own=True, platform="Procgen", genre="pl").names
        ('Climber-Procgen', 'CoinRun-Procgen', 'Jumper-Procgen', 'Ninja-Procgen')
        """
        query = make_config(GameQuery, query, options)
        rows: Iterable[Annotation] = _table(query).values()
        if query.list is not None:
            rows = _listed(rows, query.list)
        if query.set is not None:
            rows = _named_set(query.set.lower(), rows)
        return cls(query.choose(rows))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all its games."""
        return tuple(row.game for row in self.annotations)

    @property
    def available(self) -> tuple[str, ...]:
        """Names of the games that can be started on this machine."""
        here = set(catalogue.names())
        return tuple(name for name in self.names if name in here and available(name))

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the other games, whose ROM or emulator is not here."""
        here = set(self.available)
        return tuple(name for name in self.names if name not in here)

    def only_available(self) -> "GameSet":
        """Return the set of those games that can be started on this machine."""
        here = set(self.available)
        return replace(self, annotations=tuple(row for row in self.annotations if row.game in here))


def _table(query: GameQuery) -> dict[str, Annotation]:
    if query.own:
        return load_own()
    file = query.file or find_file()
    if file is None and query.set is not None:
        raise GameError(
            f"The set {query.set} is one of RetroAct's published table: fetch it with `genie-gym retroact --fetch`, or "
            "name the file with --file."
        )
    return load_own() if file is None else load(file)


def _named_set(name: str, rows: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """Return a set of the paper (section 3).

    Platformers-200 are the first 200 games of the table's platformers; Platformers-50 were drawn at random by the
    authors from the games whose actions correspond, and are known from their list.
    """
    if name == "platformers-200":
        return GameQuery(genre=("pl",), limit=200).choose(rows)
    if not PLATFORMERS_50.path.is_file():
        raise GameError(
            "Platformers-50 is a list that the authors published: fetch it with `genie-gym retroact --fetch`, or name "
            "the file with --list in place of --set."
        )
    return _listed(rows, PLATFORMERS_50.path)


def _listed(rows: Iterable[Annotation], file: Path) -> tuple[Annotation, ...]:
    """Return the annotations of the games that a file names, whatever their case, in the order of the table."""
    by_name = {row.game.lower(): row for row in rows}
    wanted = dict.fromkeys(name.lower() for name in load_names(file))
    if unknown := [name for name in wanted if name not in by_name]:
        raise GameError(f"{file} names {len(unknown)} game(s) that the table lacks: {', '.join(unknown[:5])}.")
    return tuple(row for name, row in by_name.items() if name in wanted)
