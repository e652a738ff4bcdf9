"""The worlds that can be played: what the page shows of each, and the model behind it, loaded when first played."""

import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genie_gym import games
from genie_gym.envs import WorldModelEnvConfig
from genie_gym.envs.engine import ImaginationEngine
from genie_gym.envs.play import idle_action
from genie_gym.errors import CheckpointError, GameError, GenieGymError
from genie_gym.games import GameSpec
from genie_gym.games.own_env.describe import describe
from genie_gym.games.spec import key_names
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import hub_name, load_checkpoint, resolve_checkpoint, shipped_checkpoint

__all__ = ["FASTEST", "Loaded", "World", "find_worlds"]

FASTEST = 60.0  # steps per second that are played at most

_loading = threading.Lock()


@dataclass(frozen=True)
class Loaded:
    """A world whose model is in memory.

    Attributes:
        checkpoint: The checkpoint.
        engine: One dream that has not begun, from which others are made; it draws frames in the model's own size.
        idle: Action while nothing is held.
    """

    checkpoint: Checkpoint
    engine: ImaginationEngine
    idle: int


@dataclass(frozen=True)
class World:
    """A world of the gallery.

    Attributes:
        id: Its name on the page and in links, which no other world has.
        place: Checkpoint folder, or "hub:user/model".
        device: Where to compute.
        game: The game, with the actions that a player takes.
        upscaler: Whether its frames can be drawn larger.
        temperature: The checkpoint's own sampling temperature.
        preset: How large the model is, in a word.
        real: The real game, if it can be started here and has the same actions.
    """

    id: str
    place: str
    device: str
    game: GameSpec
    upscaler: bool
    temperature: float
    preset: str
    real: GameSpec | None

    @property
    def fps(self) -> float:
        """Steps per second of play: the game's own."""
        return min(self.game.fps, FASTEST)

    def load(self) -> Loaded:
        """Return the model, loaded once in a process; takes seconds the first time.

        Raises:
            CheckpointError, ConfigError: See the message.
        """
        with _loading:
            checkpoint = load_checkpoint(self.place, self.device, game=self.game.name)
            mapped = checkpoint.action_map is not None
            config = WorldModelEnvConfig(
                game=self.game.name, checkpoint=self.place, device=self.device, real_actions=mapped
            )
            engine = ImaginationEngine(1, config)
        return Loaded(checkpoint, engine, idle_action(engine.game.meanings, checkpoint, mapped))

    def describe(self) -> dict[str, Any]:
        """Return what the page needs to know, as JSON values."""
        keys = [[list(key_names(pressed)), action] for pressed, action in self.game.keys_to_action().items()]
        return {
            "id": self.id,
            "title": self.game.title,
            "system": self.game.system,
            "preset": self.preset,
            "fps": self.fps,
            "actions": self.game.meanings,
            "keys": keys,
            "upscaler": self.upscaler,
            "temperature": self.temperature,
            "real": self.real is not None,
        }


def find_worlds(names: Sequence[str], device: str = "auto") -> dict[str, World]:
    """Return worlds by id.

    Args:
        names: Games, checkpoint folders or ids on the hub; none for all worlds on this machine, where those that are
            damaged are left out with a warning. A model of many games is a world of each.
        device: Where to compute.

    Raises:
        CheckpointError: A name stands for no checkpoint, or there is none here.
        GameError: There is no such game.
    """
    worlds: dict[str, World] = {}
    for name in names or _all_places():
        try:
            for world in _read(name, device, worlds):
                worlds[world.id] = world
        except GenieGymError as error:
            if names:
                raise
            warnings.warn(f"{name} is left out: {error}", stacklevel=2)
    if not worlds:
        raise CheckpointError("there is no world here to play; train one with: genie-gym train GAME")
    return worlds


def _all_places() -> list[str]:
    """Return the checkpoint folders of the user, and those that ship and of which the user has no other."""
    own = _games_in(paths.weights_dir("").iterdir() if paths.is_folder(paths.weights_dir("")) else [])
    shipped = _games_in(shipped_checkpoint("").iterdir())
    return [place for _, place in sorted({**shipped, **own}.items())]


def _games_in(folders: Iterable[Any]) -> dict[str, str]:
    return {folder.name: str(folder) for folder in folders if (folder / "config.json").is_file()}


def _read(name: str, device: str, others: dict[str, World]) -> Iterator[World]:
    """The world of a game, or those of the games of a model."""
    place, loaded = resolve_checkpoint(name), load_checkpoint(name, device, whole=True)
    games = [load_checkpoint(place, device, game=one.name) for one in loaded.games] or [loaded]
    return (_world(place, one, device, others) for one in games)


def _world(place: str, checkpoint: Checkpoint, device: str, others: dict[str, World]) -> World:
    mapped = checkpoint.action_map
    game = GameSpec.from_dict(checkpoint.game | ({"actions": mapped.actions} if mapped else {}))
    kind = "" if hub_name(place) is None else " (hub)"
    return World(
        id=_unused(game.name, others),
        place=place,
        device=device,
        game=game,
        upscaler=checkpoint.upscaler is not None,
        temperature=checkpoint.sampling.temperature,
        preset=f"{checkpoint.metadata.preset}{kind}",
        real=_real_game(game),
    )


def _unused(name: str, others: dict[str, World]) -> str:
    """Return a name, or the first of name-2, name-3 ... that no other world has."""
    number = 1 + sum(world.game.name == name for world in others.values())
    return name if number == 1 else f"{name}-{number}"


def _real_game(known: GameSpec) -> GameSpec | None:
    """Return the game of a world, or None where it is not here, has other actions, or only a file names its code."""
    if known.name in games.names():
        found = games.available(known.name)
        spec = replace(games.find(known.name), savestates=known.savestates) if found else None
    elif known.env is None:
        spec = None
    else:
        try:
            spec = describe(known.name, known.env)
        except GameError:
            spec = None
    return spec if spec is not None and spec.meanings == known.meanings else None
