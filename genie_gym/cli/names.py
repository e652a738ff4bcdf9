"""From what a person types to the name of a game, a recording of it, or the place of a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from genie_gym import paths
from genie_gym.errors import GameError
from genie_gym.games import find

if TYPE_CHECKING:  # --help need not wait for it
    from genie_gym.data import Recording

__all__ = ["Game", "find_checkpoint", "find_name", "find_recording"]

Game = Annotated[Positional[str], arg(metavar="GAME")]


def find_name(game: str, data: Path | None = None) -> str:
    """The canonical name of a game, or that of one's own, with its "-Own" or without, where it has been recorded.

    Raises:
        GameError: neither a known game nor the name of a recording, or one that cannot be a name.
    """
    try:
        return find(game).name
    except GameError:
        if data is None and not (paths.data_dir(paths.own_name(game)) / "recording.json").is_file():
            raise
        return paths.own_name(game)


def find_recording(game: str, data: Path | None = None) -> "Recording":
    """The recording of a game in the folder given, or the game's own.

    Raises:
        DataError: there is none.
        ConfigError: it is of another game.
    """
    from genie_gym.data import Recording
    from genie_gym.pipeline.fit_data import check_game

    recording = Recording(data or paths.data_dir(game))
    check_game(game, recording)
    return recording


def find_checkpoint(name: str) -> str:
    """The checkpoint of a game, or the folder or hub id that was given instead of one.

    Raises:
        GameError: the name is that of no game, no folder, and no hub id ("user/model").
        CheckpointError: the game has no weights here.
    """
    from genie_gym.world_model.weights import find_weights

    given = Path(name)
    if "/" in name:
        return name
    for own in (paths.weights_dir(name), paths.weights_dir(f"{name}-Own")):
        if (own / "config.json").is_file():
            return str(own)
    if (given / "config.json").is_file():
        return name
    try:
        return find_weights(name, None)[0]
    except GameError:
        if given.exists():  # loading it tells what it lacks
            return name
        raise
