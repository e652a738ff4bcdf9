"""From a name to a game, checkpoint, dataset or agent: the same in the command line, Python and Gymnasium."""

import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genie_gym.errors import CheckpointError, ConfigError, GameError
from genie_gym.games import find
from genie_gym.games.game_names import known_games
from genie_gym.utils import paths

if TYPE_CHECKING:  # names are resolved without waiting for torch
    import torch

    from genie_gym.data import EpisodeDataset
    from genie_gym.world_model.checkpoint import Checkpoint

__all__ = [
    "check_game",
    "hub_name",
    "load_checkpoint",
    "load_given",
    "resolve_agent",
    "resolve_checkpoint",
    "resolve_dataset",
    "resolve_game",
    "shipped_checkpoint",
    "wanted_game",
]

HUB = "hub:"  # in front of the name of a model on the Hugging Face hub
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)  # "user/model"


def resolve_game(name: str, given: str | Path | None = None) -> str:
    """Return the canonical name of a game.

    Args:
        name: "Airstriker-Genesis", "Airstriker", "GenieRedux/Airstriker-v0", or the name of your own game with or
            without its "-Own", if it has a dataset or weights in the user's folder.
        given: Dataset or checkpoint given beside the name, if any; the name may then be that of any game of your own.

    Raises:
        GameError: There is no such game.

    >>> resolve_game("airstriker")
    'Airstriker-Genesis'
    """
    try:
        return find(name).name
    except GameError:
        title = name.removeprefix("GenieRedux/").removesuffix("-v0")
        if paths.OWN_NAMES.fullmatch(title) and (given is not None or _exists(paths.own_name(title))):
            return paths.own_name(title)
        raise


def _exists(own: str) -> bool:
    files = (paths.data_dir(own) / "recording.json", paths.weights_dir(own) / "config.json")
    return any(_is_there(file) for file in files) or any(_models_of_many_games(own))


def resolve_checkpoint(checkpoint: str | Path | None, game: str | None = None) -> str:
    """Return the checkpoint folder that a name stands for, or "hub:user/model".

    Args:
        checkpoint: A checkpoint folder; a model on the Hugging Face hub, "hub:user/model"; or the name of a game, which
            stands for its weights. A folder that holds a checkpoint comes before a game of that name. "user/model"
            stands for a model on the hub as well if it cannot be a path, which is then said on standard error.
        game: Name of the game whose weights are used if `checkpoint` is None.

    Raises:
        CheckpointError: There is no such folder, the game has no weights, or it cannot be the name of a model on the
            hub.
        GameError: The name is that of no game.
        ConfigError: Neither was given.
    """
    if checkpoint is None and game is None:
        raise ConfigError("give a game (game='Airstriker-Genesis') or a checkpoint (checkpoint='path/or/hub-id')")
    if checkpoint is None:
        return _weights_of(str(game))
    name = str(checkpoint)
    if name.startswith(HUB):
        _check_hub_name(name)
        return name
    if name.startswith("GenieRedux/"):
        return _weights_of(name)
    if isinstance(checkpoint, Path) or "/" in name or name.startswith((".", "~")):
        return _path_or_hub(name, isinstance(checkpoint, Path))
    if _is_there(Path(name, "config.json")):
        return name
    try:
        return _weights_of(name)
    except GameError:
        if _is_there(Path(name)):  # loading it reports what it lacks
            return name
        raise


def _path_or_hub(name: str, is_path: bool) -> str:
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # there is no such user
        path = Path(name)
    if _is_there(path):
        return str(path)
    if not is_path and HUB_NAME.fullmatch(name) and ".." not in name and not path.parent.is_dir():
        print(
            f"there is no folder {name!r} here: asking the Hugging Face hub for the model of that name "
            f"(say {HUB}{name} to have no such line, ./{name} if you mean a folder)",
            file=sys.stderr,
            flush=True,
        )
        return HUB + name
    raise CheckpointError(
        f"there is no checkpoint folder {name!r:.300}; check the spelling, or give the name of a game or a model on "
        "the Hugging Face hub, such as hub:user/model"
    )


def _is_there(path: Path) -> bool:
    """Whether there is a file or folder of that name; a path that no disk can have names none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _check_hub_name(place: str) -> None:
    name = place.removeprefix(HUB)
    if not HUB_NAME.fullmatch(name) or ".." in name:
        raise CheckpointError(
            f"{name!r:.300} is not the name of a model on the Hugging Face hub; write {HUB}user/model, or the path of "
            "a folder without hub:"
        )


def hub_name(place: str) -> str | None:
    """Return the "user/model" of what `resolve_checkpoint` returned; None if that is a folder."""
    return place.removeprefix(HUB) if place.startswith(HUB) else None


def _weights_of(game: str) -> str:
    name = resolve_game(game)
    for place in _places_of(name):
        if (place / "config.json").is_file():
            return str(place)
    raise CheckpointError(
        f"no weights of {name} in {paths.weights_dir(name)}, and none ship with genie_gym. Make them with: "
        f"genie-gym collect {name} && genie-gym train {name}; or give checkpoint=PATH_OR_HUB_ID"
    )


def _places_of(game: str) -> Iterator[Path]:
    """Where weights of a game may be, in the order in which they are looked for."""
    if paths.has_home():
        yield paths.weights_dir(game)
    yield shipped_checkpoint(game)
    if paths.has_home():
        yield from _models_of_many_games(game)


def _models_of_many_games(game: str) -> Iterator[Path]:
    """The user's models of many games that know a game, the newest first."""
    configs = [file for file in paths.weights_dir("").glob("*-Own/config.json") if file.is_file()]
    for file in sorted(configs, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        if game in known_games(file):
            yield file.parent


def wanted_game(place: str | Path | None, game: str | None) -> str | None:
    """Return which game of a model of many games is meant: the one named, or the one whose name stands for the model.

    Args:
        place: What `resolve_checkpoint` takes.
        game: Name of the game, if it is given.
    """
    if game is not None or place is None or isinstance(place, Path) or _is_there(Path(place, "config.json")):
        return game
    try:
        return resolve_game(place)
    except GameError:
        return None


def shipped_checkpoint(game: str) -> Path:
    """Return the folder inside the package where the weights of a game are, if it ships any."""
    return Path(str(resources.files("genie_gym"))) / "weights" / game


def load_checkpoint(
    place: str | Path | None,
    device: str = "auto",
    precision: str = "auto",
    compile: bool = False,
    *,
    game: str | None = None,
    whole: bool = False,
) -> "Checkpoint":
    """Load a checkpoint onto a device, or return the one this process has loaded already: many envs share one model.

    Args:
        place: What `resolve_checkpoint` takes; None for the weights of `game`.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1" ...
        precision: "auto", "float32" or "bfloat16".
        compile: Whether the model's step is compiled, see `WorldModel.compile_step`.
        game: Which game of a model of many games; by default the one that `place` names.
        whole: Whether a model of many games may be returned as it is, if no game is named.

    Raises:
        CheckpointError, GameError, ConfigError: See the message.
    """
    from genie_gym.utils.device import find_device, one_thread_if_forked
    from genie_gym.utils.precision import resolve_precision
    from genie_gym.world_model.many_games import require_one_game

    one_thread_if_forked()
    target, checkpoint = find_device(device), resolve_checkpoint(place, game)
    config = Path(checkpoint) / "config.json"
    written = config.stat().st_mtime_ns if config.is_file() else 0  # retrained into the same folder is a new model
    options = checkpoint, target, resolve_precision(precision, target), compile, written
    loaded = _load(*options)
    wanted = wanted_game(place, game) if loaded.games else None
    if wanted not in (None, loaded.game["name"]):
        return _load_game(str(wanted), *options)
    if not whole:
        require_one_game(loaded)
    return loaded


def load_given(given: Any, place: str, device: str, game: str | None) -> "Checkpoint":
    """Return the checkpoint that was given, if it is one, else that of a place; of many games, the one that is named.

    Raises:
        CheckpointError, GameError, ConfigError: As `load_checkpoint`.
    """
    from genie_gym.world_model.checkpoint import Checkpoint
    from genie_gym.world_model.many_games import require_game, require_one_game

    if isinstance(given, Checkpoint):
        chosen = given.of_game(game) if given.games and game is not None else given
        require_one_game(chosen)
    else:
        chosen = load_checkpoint(place, device, game=game)
    require_game(chosen, game)
    return chosen


@lru_cache(maxsize=8)
def _load(checkpoint: str, device: "torch.device", dtype: "torch.dtype", compile: bool, written: int) -> "Checkpoint":
    from genie_gym.world_model.checkpoint import Checkpoint

    loaded = Checkpoint.from_pretrained(Path(checkpoint) if hub_name(checkpoint) is None else checkpoint, device)
    loaded.model.run_in(dtype)
    if compile:
        loaded.model.compile_step()
    return loaded


@lru_cache(maxsize=64)
def _load_game(
    game: str, checkpoint: str, device: "torch.device", dtype: "torch.dtype", compile: bool, written: int
) -> "Checkpoint":
    chosen = _load(checkpoint, device, dtype, compile, written).of_game(game)
    if compile:
        chosen.model.compile_step()
    return chosen


def resolve_dataset(game: str, folder: str | Path | None = None) -> "EpisodeDataset":
    """Return the dataset of a game: the one in the folder given, or the game's own in the user's folder.

    Raises:
        GameError: There is no such game.
        DataError: There is no dataset.
        ConfigError: The dataset is of another game.
    """
    from genie_gym.data import EpisodeDataset

    name = game if game.endswith("-Own") else resolve_game(game, folder)
    dataset = EpisodeDataset(Path(folder or paths.data_dir(name)))
    check_game(name, dataset)
    return dataset


def check_game(game: str, dataset: "EpisodeDataset") -> None:
    """Raise ConfigError if a dataset is of another game."""
    recorded = dataset.header["game"].get("name")
    if recorded != game:
        raise ConfigError(f"{dataset.folder} holds episodes of {recorded}, not of {game}; give another folder")


def resolve_agent(game: str, name: str | Path) -> Path:
    """Return the folder of a game's agent if there is one of that name ("autoexplore-0"), else the name as a path."""
    folder = paths.agents_dir(game) / name
    return folder if paths.is_folder(folder) else Path(name)
