"""The games that a plan of many games names."""

from collections.abc import Sequence
from pathlib import Path

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.utils import paths

__all__ = ["ALL", "game_names"]

ALL = "all"  # every game that can be started here


def game_names(names: Sequence[str]) -> list[str]:
    """Return the canonical names of games, each once, in the order in which they are named.

    Args:
        names: Names of games; "all" for those that can be started here; or the path of a text file with one name a
            line, in which lines may be empty or begin with #.

    Raises:
        GameError: A game is unknown, a file cannot be read, or no game is named.
    """
    words = [word for name in names for word in _words(name)]
    found = [game for word in words for game in (_all() if word == ALL else [games.find(word).name])]
    if not found:
        raise GameError(f"no game is named in {', '.join(names) or 'an empty list'}; name one, or {ALL}")
    return list(dict.fromkeys(found))


def _all() -> list[str]:
    return [game for game in games.names() if games.available(game)]


def _words(name: str) -> list[str]:
    """Return the lines of a file, or the name itself if it is none."""
    path = Path(name)
    if "/" not in name and not paths.is_file(path):
        return [name]
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise GameError(f"the list of games {path} cannot be read ({error})") from error
    return [line for line in lines if line]
