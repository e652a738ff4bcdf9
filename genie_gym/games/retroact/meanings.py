"""Names of actions by what they do, the same in all games: "jump" whichever button jumps, "right+jump" for both."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from genie_gym.games.action_names import buttons_of
from genie_gym.games.retroact.published import find_file
from genie_gym.games.retroact.table import BUTTONS, Annotation, load, load_own

__all__ = ["action_names"]

NOOP = "NOOP"
DIRECTIONS = ("right", "left", "up", "down")


def action_names(game: str, meanings: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a game's actions by what they do, all different.

    The effects of buttons come from our own table, or else RetroAct's, if that was fetched; a button of which they say
    nothing, or that it has no effect, keeps its own name. So does a button with the effect of another one.

    Args:
        game: Canonical name of the game.
        meanings: Names of its actions by their buttons, such as "RIGHT+PRIMARY" or "RIGHTFIRE".

    Raises:
        GameError: The published table is there, but cannot be read.

    >>> action_names("Kangaroo-Ale", ["NOOP", "FIRE", "UP", "RIGHT", "UPRIGHT"])
    ('NOOP', 'punch', 'jump', 'right', 'right+jump')
    """
    effects = _effects(game)
    found = [_joined(effects.get(button, button.lower()) for button in buttons_of(meaning)) for meaning in meanings]
    often = Counter(found)
    names: list[str] = []
    for name, meaning in zip(found, meanings, strict=True):
        own = name if often[name] == 1 else meaning.lower()  # parts of names that are no buttons
        names.append(own if own not in names else f"{own} ({len(names)})")
    return tuple(names)


def _joined(parts: Iterable[str]) -> str:
    """Return one name for parts in any order: directions first."""
    order = sorted(parts, key=lambda part: (DIRECTIONS.index(part) if part in DIRECTIONS else len(DIRECTIONS), part))
    return "+".join(order) or NOOP


def _effects(game: str) -> dict[str, str]:
    """Return the effect of each button of a game of which a table knows one, in one word and no two the same."""
    annotation = _annotation(game)
    found: dict[str, str] = {}
    for column in () if annotation is None else (*BUTTONS[4:], *BUTTONS[:4]):  # DOWN may do what PRIMARY does
        effect = "/".join(annotation.effects[column].lower().replace("+", " ").split()) if annotation else ""
        if effect not in ("", "none", *found.values()):
            found[column.removeprefix("ACTION_")] = effect
    return found


def _annotation(game: str) -> Annotation | None:
    if game in (own := _own()):
        return own[game]
    file = find_file()
    return None if file is None else _published(file, file.stat().st_mtime_ns).get(game)


@cache
def _own() -> dict[str, Annotation]:
    return load_own()


@cache
def _published(file: Path, written: int) -> dict[str, Annotation]:
    return load(file)
