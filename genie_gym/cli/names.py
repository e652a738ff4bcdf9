"""From what a person types to the name of a game or the place of a checkpoint."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym import paths
from genie_gym.errors import GameError
from genie_gym.games import find

__all__ = ["Game", "find_checkpoint", "find_name"]

Game = Annotated[Positional[str], arg(metavar="GAME")]


def find_name(game: str, data: Path | None = None) -> str:
    """The canonical name of a game; the name of one's own recording is taken as it is.

    Raises:
        GameError: neither a known game nor the name of a recording.
    """
    try:
        return find(game).name
    except GameError:
        if data is None and not (paths.data_dir(game) / "recording.json").is_file():
            raise
        return game


def find_checkpoint(name: str) -> str:
    """The checkpoint of a game, or the folder or hub id that was given instead of one.

    Raises:
        GameError: the name is that of no game, no folder, and no hub id ("user/model").
        CheckpointError: the game has no weights here.
    """
    own = paths.weights_dir(name)
    if (own / "config.json").is_file():
        return str(own)
    if Path(name).exists() or "/" in name:
        return name
    from genie_gym.world_model.weights import find_weights

    return find_weights(name, None)[0]
