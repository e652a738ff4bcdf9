"""The games that a list names, a set of RetroAct among them, and those that a model of many games knows."""

from collections.abc import Callable, Sequence
from pathlib import Path

from genie_gym.errors import GameError
from genie_gym.games.catalogue import find, names
from genie_gym.games.factory import available
from genie_gym.games.retroact import SETS, GameSet
from genie_gym.utils import paths
from genie_gym.utils.jsonable import read_json

__all__ = ["ALL", "game_names", "known_games"]

ALL = "all"  # every game that is there
LARGEST_LIST = 2**20  # bytes; the names of all games have 50,000


def game_names(
    words: Sequence[str],
    is_there: Callable[[str], bool] | None = None,
    resolve: Callable[[str], str] = lambda name: find(name).name,
) -> list[str]:
    """Return the canonical names of games, each once, in the order in which they are named.

    Args:
        words: Names of games, or several of them with commas between; "all" for those that are there; a set of the
            paper, such as platformers-50, for those of it that are there; or the path of a text file with one name a
            line, in which lines may be empty or begin with #.
        is_there: Whether a game is there: by default, whether it can be started.
        resolve: Returns the canonical name of a game.

    Raises:
        GameError: A game is unknown, a file cannot be read, or no game is named.
    """
    is_there = available if is_there is None else is_there
    found = [game for word in words for name in _words(word) for game in _games(name, is_there, resolve)]
    if not found:
        raise GameError(f"no game is named in {', '.join(words) or 'an empty list'}; name one, or {ALL}")
    return list(dict.fromkeys(found))


def _games(name: str, is_there: Callable[[str], bool], resolve: Callable[[str], str]) -> list[str]:
    if name == ALL:
        return [game for game in names() if is_there(game)]
    if name.lower() in SETS:
        return [game for game in GameSet.choose(set=name).names if is_there(game)]
    return [resolve(name)]


def _words(name: str) -> list[str]:
    """Return the lines of a file, or the names between commas."""
    path = Path(name)
    if "/" not in name and not paths.is_file(path):
        return [word.strip() for word in name.split(",") if word.strip()]
    try:
        text = paths.read_regular(path, LARGEST_LIST).decode("utf-8")
    except (OSError, ValueError) as error:
        raise GameError(f"the list of games {path} cannot be read ({error})") from error
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line]


def known_games(config: Path) -> tuple[str, ...]:
    """Return the names of the games of a model of many games, as the config.json in its folder has them; else none."""
    try:
        return tuple(str(one["game"]["name"]) for one in read_json(config).get("games", ()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # damaged, as loading it reports
        return ()
