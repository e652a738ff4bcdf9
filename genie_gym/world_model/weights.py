"""Finding a game's weights, and loading each only once a process: ten environments share one model."""

import os
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

import torch

from genie_gym import paths
from genie_gym.devices import find_device
from genie_gym.errors import CheckpointError, ConfigError, GameError
from genie_gym.games import GameSpec, find
from genie_gym.precision import resolve
from genie_gym.world_model import Checkpoint

__all__ = ["find_weights", "load_weights", "shipped_weights"]


def shipped_weights(game: str) -> Path:
    """Where the weights of a game lie inside the package, if it ships any."""
    return Path(str(resources.files("genie_gym"))) / "weights" / game


def find_weights(game: str | None, checkpoint: str | Path | None) -> tuple[str, GameSpec | None]:
    """The checkpoint to load: the one given, else the user's own of that game, else the one that ships.

    Raises:
        CheckpointError: none of them exists.
        GameError: the game is unknown, and no checkpoint is given.
    """
    spec = _find(game, checkpoint) if game else None
    if checkpoint is not None:
        return str(checkpoint), spec
    if game is None:
        raise ConfigError("give a game (game='Airstriker-Genesis') or a checkpoint (checkpoint='path/or/hub-id')")
    name = spec.name if spec else game
    places = [paths.weights_dir(name), shipped_weights(name)]
    for place in places:
        if (place / "config.json").is_file():
            return str(place), spec
    raise CheckpointError(
        f"no weights of {name} in {places[0]}, and none ship with genie_gym. Make them with: "
        f"genie-gym collect {name} && genie-gym fit {name}; or give checkpoint=PATH_OR_HUB_ID"
    )


def _find(game: str, checkpoint: str | Path | None) -> GameSpec | None:
    """The game of that name; None for one of one's own that has weights, which no list of games knows."""
    try:
        return find(game)
    except GameError:
        if checkpoint is None and not (paths.weights_dir(game) / "config.json").is_file():
            raise
        return None


def load_weights(checkpoint: str, device: str, precision: str, compiled: bool = False) -> Checkpoint:
    """The checkpoint on a device, shared by all who ask for the same in this process.

    Args:
        checkpoint: a folder or the id of a model on the hub.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1" ...
        precision: "auto", "float32" or "bfloat16".
        compiled: whether its step is compiled; see WorldModel.compile_step.

    Raises:
        CheckpointError, ConfigError.
    """
    place = find_device(device)
    config = Path(checkpoint) / "config.json"
    written = config.stat().st_mtime_ns if config.is_file() else 0  # a new fit into the same folder is a new model
    return _load(checkpoint, place, resolve(precision, place), compiled, written)


@cache
def _forked_alone() -> None:
    """A forked process has none of its parent's threads, and would wait for them for ever: AsyncVectorEnv forks."""
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@lru_cache(maxsize=8)
def _load(checkpoint: str, device: torch.device, dtype: torch.dtype, compiled: bool, written: int) -> Checkpoint:
    _forked_alone()
    loaded = Checkpoint.from_pretrained(checkpoint, device)
    loaded.model.run_in(dtype)
    if compiled:
        loaded.model.compile_step()
    return loaded
