"""The table that is annotated: which games are to do, and saving a row at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from genie_gym import games
from genie_gym.annotation.config import AnnotateConfig
from genie_gym.annotation.probe import NONE, Proposal
from genie_gym.errors import ConfigError, GameError
from genie_gym.games import retroact
from genie_gym.games.retroact.table import BUTTONS, Annotation
from genie_gym.utils import paths
from genie_gym.utils.locks import short_lock

__all__ = ["Sheet", "known_words", "row_of"]

LONGEST = 40  # letters of a label
MOST_WORDS = 24  # that are offered for a column
WORDS = ("view", "motion", "genre", "camera", *BUTTONS)


class Sheet:
    """A table in RetroAct's columns, and the games of it that are to be annotated.

    Args:
        config: Which games, and which file.

    Attributes:
        games: Names of the games, in their order.
        file: The table.

    Raises:
        GameError: A game is unknown or cannot be started here, or the file is no table of annotations.
        ConfigError: No game is left.
    """

    def __init__(self, config: AnnotateConfig):
        self.file = config.file
        rows = self.rows()
        names = _names(config.games)
        wanted = {"all": names, "new": [n for n in names if n not in rows], "edit": [n for n in names if n in rows]}
        self.games = wanted[config.only]
        if not self.games:
            kind = {"new": "new ", "edit": "annotated "}.get(config.only, "")
            raise ConfigError(f"no {kind}game is left to annotate in {config.file}; name games, or give another --only")

    def rows(self) -> dict[str, Annotation]:
        """Return the annotations of the file, by game; none if it does not exist yet."""
        return retroact.load(self.file) if paths.exists(self.file) else {}

    def save(self, row: Annotation) -> None:
        """Write a row to the file, in place of the game's own or at the end; others' rows stay as they are.

        Raises:
            ConfigError: A label is empty, too long or cannot be printed; or the game is not among those annotated.
            DataError: The file cannot be written.
        """
        if row.game not in self.games:
            raise ConfigError(f"{row.game!r:.60} is not among the games that are annotated here")
        labels = {"view": row.view, "motion": row.motion, "genre": row.genre, "camera": row.camera, **row.effects}
        for name, label in labels.items():
            if not label.strip() or len(label) > LONGEST or not label.isprintable():
                raise ConfigError(f"{name} must be a label of 1 to {LONGEST} letters; got {label!r:.60}")
        with short_lock(self.file.with_name(f".{self.file.name}.lock")):
            retroact.save(self.file, self.rows() | {row.game: _stripped(row)})


def row_of(game: str, proposal: Proposal) -> Annotation:
    """Return what the probe proposes as a row, in which view and genre are for people."""
    return Annotation(
        game=game,
        view="",
        motion=proposal.motion,
        genre="",
        camera=proposal.camera,
        effects=dict(proposal.effects),
        blinking=proposal.blinking,
        delayed=proposal.delayed,
    )


def known_words(rows: Sequence[Annotation]) -> dict[str, list[str]]:
    """Return the labels that tables use, by column, the most common first."""
    found: dict[str, Counter[str]] = {column: Counter() for column in WORDS}
    for row in rows:
        for column in WORDS:
            found[column][row.effects[column] if column in row.effects else getattr(row, column)] += 1
    return {column: [word for word, _ in counts.most_common(MOST_WORDS) if word] for column, counts in found.items()}


def _names(given: Sequence[str]) -> list[str]:
    """Return names of games, those of text files among them; all that can be started here if none are given."""
    if not given:
        return [name for name in games.names() if games.available(name)]
    words = [word for one in given for word in (_read(Path(one)) if paths.is_file(one) else [one])]
    found = list(dict.fromkeys(games.find(word).name for word in words))
    if missing := [name for name in found if not games.available(name)]:
        raise GameError(f"{missing[0]} cannot be started here; `genie-gym roms import PATH` brings its ROM")
    return found


def _read(file: Path) -> list[str]:
    try:
        with paths.open_regular(file) as content:
            return content.read(2**20).decode().split()
    except (OSError, UnicodeDecodeError) as error:
        raise GameError(f"cannot read the names of games in {file} ({error})") from error


def _stripped(row: Annotation) -> Annotation:
    plain = {name: getattr(row, name).strip() for name in ("view", "motion", "genre", "camera")}
    return replace(row, **plain, effects={button: row.effects.get(button, NONE).strip() for button in BUTTONS})
