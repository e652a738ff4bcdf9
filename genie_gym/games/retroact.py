"""Reading RetroAct, annotations of stable-retro's games: genre, view, motion, and the effect of each button."""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import GameError
from genie_gym.utils import paths

__all__ = ["COLUMNS", "Annotation", "find_file", "load", "select"]

_BUTTONS = ("RIGHT", "LEFT", "UP", "DOWN", "ACTION_PRIMARY", "ACTION_SECONDARY")
COLUMNS = ("game", "view", "motion", "genre", "camera", *_BUTTONS, "blinking", "delayed")


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


def find_file() -> Path | None:
    """Return the user's file: `$GENIE_GYM_RETROACT`, else `retroact.csv` in `paths.home()`, else None.

    Raises:
        GameError: The variable names a file that does not exist.
    """
    if chosen := os.environ.get("GENIE_GYM_RETROACT"):
        if not Path(chosen).is_file():
            raise GameError(f"GENIE_GYM_RETROACT names {chosen}, which is no file. Give RetroAct's CSV or unset it.")
        return Path(chosen)
    file = paths.home() / "retroact.csv"
    return file if file.is_file() else None


def load(file: str | Path) -> dict[str, Annotation]:
    """Return annotations by game from a file in RetroAct's format (v1.4); the first row of a game counts.

    Raises:
        GameError: The file cannot be read or lacks columns.
    """
    try:
        with Path(file).open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if missing := [column for column in COLUMNS if column not in (rows.fieldnames or ())]:
                raise GameError(f"{file} is no RetroAct table: it has no column {', '.join(missing)}.")
            annotations = [_annotation(row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GameError(f"Cannot read the annotations in {file}: {error}.") from error
    return {annotation.game: annotation for annotation in reversed(annotations)}


def select(
    annotations: Iterable[Annotation], genre: str | None = None, motion: str | None = None, view: str | None = None
) -> list[Annotation]:
    """Return the annotations of a genre, motion and view, of those that are given.

    >>> walker = Annotation("A-Nes", "side", "free", "pl", "none", {}, False, False)
    >>> select([walker], genre="pl", motion="h")
    []
    """
    wanted = {"genre": genre, "motion": motion, "view": view}
    return [a for a in annotations if all(value in (None, getattr(a, key)) for key, value in wanted.items())]


def _annotation(row: dict[str, str | None]) -> Annotation:
    cell = {key: (value or "").strip() for key, value in row.items() if key in COLUMNS}
    return Annotation(
        game=cell["game"],
        view=cell["view"],
        motion=cell["motion"],
        genre=cell["genre"],
        camera=cell["camera"],
        effects={button: cell[button] for button in _BUTTONS},
        blinking=cell["blinking"].upper() == "YES",
        delayed=cell["delayed"].upper() == "YES",
    )
