"""Tables of annotations in RetroAct's format: the published one, our own for games that run here, and yours."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from genie_gym.errors import GameError
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write

__all__ = ["BUTTONS", "COLUMNS", "Annotation", "load", "load_names", "load_own", "save"]

BUTTONS = ("RIGHT", "LEFT", "UP", "DOWN", "ACTION_PRIMARY", "ACTION_SECONDARY")
COLUMNS = ("game", "view", "motion", "genre", "camera", *BUTTONS, "blinking", "delayed")


@dataclass(frozen=True)
class Annotation:
    """The annotation of one game.

    Attributes:
        game: Canonical name, `Title-System`.
        view: "side", "top", "3p", "1p" or "multi".
        motion: Directions in which the player moves: "free", "h", "v", "fixed" or "tube".
        genre: "pl" (platformer), "space_shooter", "fight", ...
        camera: Direction in which the camera moves by itself, or "none".
        effects: Effect ("jump", "none", ...) by button (RIGHT, LEFT, UP, DOWN, ACTION_PRIMARY, ACTION_SECONDARY).
        blinking: Whether sprites flicker.
        delayed: Whether the player gains control only some time after the savestate.
    """

    game: str
    view: str
    motion: str
    genre: str
    camera: str
    effects: dict[str, str]
    blinking: bool
    delayed: bool

    @property
    def platform(self) -> str:
        """The system: "Nes", "Genesis", ..."""
        return self.game.rpartition("-")[2]


def load(file: str | Path) -> dict[str, Annotation]:
    """Return annotations by game from a file in RetroAct's format (v1.4), in its order; a game's first row counts.

    Raises:
        GameError: The file cannot be read or lacks columns.
    """
    annotations: dict[str, Annotation] = {}
    for row in _rows(Path(file), COLUMNS):
        annotations.setdefault(row["game"], _annotation(row))
    return annotations


def save(file: str | Path, annotations: Mapping[str, Annotation]) -> None:
    """Write annotations in RetroAct's format; `load` is the inverse.

    Raises:
        DataError: The file cannot be written; what was there before is untouched.
    """
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for one in annotations.values():
        flags = {name: "YES" if getattr(one, name) else "NO" for name in ("blinking", "delayed")}
        plain = {name: getattr(one, name) for name in ("game", "view", "motion", "genre", "camera")}
        rows.writerow(plain | one.effects | flags)
    atomic_write(Path(file), text.getvalue().encode())


def load_own() -> dict[str, Annotation]:
    """Return our own annotations: of Procgen, of Atari games, and of other games that run without RetroAct's table."""
    with resources.as_file(resources.files("genie_gym.games.retroact").joinpath("own.csv")) as file:
        return load(file)


def load_names(file: str | Path) -> list[str]:
    """Return the names in the column `game` of a CSV file, such as the authors' list of 50 games.

    Raises:
        GameError: The file cannot be read or has no such column.
    """
    return [row["game"] for row in _rows(Path(file), ("game",)) if row["game"]]


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the given columns of each row, without spaces around the values."""
    try:
        paths.file_size(file)  # a pipe or a device may never end
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if missing := [column for column in columns if column not in (rows.fieldnames or ())]:
                raise GameError(f"{file} is no RetroAct table: it has no column {', '.join(missing)}.")
            for row in rows:
                yield {column: (row[column] or "").strip() for column in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GameError(f"Cannot read the annotations in {file}: {error}.") from error


def _annotation(cell: dict[str, str]) -> Annotation:
    return Annotation(
        game=cell["game"],
        view=cell["view"],
        motion=cell["motion"],
        genre=cell["genre"],
        camera=cell["camera"],
        effects={button: cell[button] for button in BUTTONS},
        blinking=cell["blinking"].upper() == "YES",
        delayed=cell["delayed"].upper() == "YES",
    )
