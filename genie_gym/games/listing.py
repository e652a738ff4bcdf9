"""All games, including your own, and what is on this machine for each: ROM, dataset, weights."""

from dataclasses import dataclass
from importlib import resources

from genie_gym.errors import GameError
from genie_gym.games import catalogue, retroact
from genie_gym.games.factory import available
from genie_gym.utils import paths
from genie_gym.utils.validation import is_name

__all__ = ["GameRow", "game_rows"]


@dataclass(frozen=True)
class GameRow:
    """One game of the list.

    Attributes:
        name: Canonical name.
        system: The console, "Procgen", "Numpy" or "Own".
        genre: Genre in RetroAct's table, or empty.
        rom: Whether the game can be started here.
        data: Whether there is a dataset.
        weights: Whether there is a checkpoint.
    """

    name: str
    system: str
    genre: str
    rom: bool
    data: bool
    weights: bool


def game_rows(system: str | None = None, genre: str | None = None, with_rom: bool = False) -> list[GameRow]:
    """Return the games of a system and genre, sorted by name.

    Args:
        system: "Genesis", "Nes", "Procgen", ...; case is ignored. All by default.
        genre: One of RetroAct's genres ("pl" for platformers), of its table if that was fetched, and of our own. All by
            default.
        with_rom: Return only games that can be started now.

    Raises:
        GameError: The system or genre is unknown; the message lists the choices.
    """
    genres = _genres(genre)
    found = [_row(name, genres.get(name, "")) for name in _of_system(system)]
    return [row for row in found if genre in (None, row.genre) and (row.rom or not with_rom)]


def _row(name: str, genre: str) -> GameRow:
    shipped = resources.files("genie_gym").joinpath(f"weights/{name}/config.json")
    return GameRow(
        name=name,
        system=name.rpartition("-")[2],
        genre=genre,
        rom=name in catalogue.names() and available(name),
        data=any(paths.data_dir(name).glob("*.h5")),
        weights=(paths.weights_dir(name) / "config.json").is_file() or shipped.is_file(),
    )


def _of_system(system: str | None) -> list[str]:
    names = sorted({*catalogue.names(), *_own()})
    if system is None:
        return names
    systems = sorted({name.rpartition("-")[2] for name in names})
    if system.lower() not in map(str.lower, systems):
        raise GameError(f"Unknown system {system!r}. Choose one of {', '.join(systems)}.")
    return [name for name in names if name.rpartition("-")[2].lower() == system.lower()]


def _own() -> list[str]:
    """Return the user's own games: all names of that form with a dataset or a checkpoint."""
    folders = [*paths.data_dir("").glob("*-Own"), *paths.weights_dir("").glob("*-Own")]
    return [folder.name for folder in folders if is_name(folder.name) and folder.is_dir()]


def _genres(wanted: str | None) -> dict[str, str]:
    """Return genres by game, RetroAct's where they differ; raise GameError if the wanted one does not exist."""
    file = retroact.find_file()
    rows = retroact.load_own() | (retroact.load(file) if file else {})
    genres = {game: row.genre for game, row in rows.items()}
    if wanted is not None and wanted not in genres.values():
        raise GameError(f"Unknown genre {wanted!r}. Choose one of {', '.join(sorted(set(genres.values())))}.")
    return genres
