"""The real game of a name: one of the list, or your own environment, as you name it or as your files describe it."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym

from genie_gym.errors import ConfigError, GameError, GenieGymError
from genie_gym.games import GameSpec, find
from genie_gym.games.own_env.describe import as_json, describe, importable_name, named_source
from genie_gym.games.own_env.source import EnvSource
from genie_gym.utils import paths
from genie_gym.utils.options import EnvOptions

__all__ = ["named_options", "real_game", "with_env"]

OPTIONS = tuple(field.name for field in fields(EnvOptions))
Config = TypeVar("Config", bound=EnvOptions)


def named_options(source: "str | Callable[..., gym.Env] | None", options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an activity whose first argument is a game's name, or an environment beside the game's.

    Args:
        source: Name of the game; or, where the options have a `game`, what its environment is: an importable function
            that returns it, "module:function" or a Gymnasium id.
        options: Options by name; arguments and actions of an environment as Python's own values or as JSON.

    Raises:
        ConfigError: A function cannot be imported by other processes, or a value cannot be kept as JSON.
    """
    options = dict(options)
    if source is not None:
        options["env" if callable(source) or "game" in options else "game"] = source
    for name in ("env", "env_actions"):
        if callable(options.get(name)):
            options[name] = importable_name(options[name])
    for name in ("env_kwargs", "env_actions"):
        if name in options and not isinstance(options[name], str | None):
            options[name] = json.dumps(as_json(name, options[name]))
    if "game" not in options:
        raise ConfigError("give the game a name: game='Mine'")
    return options


def real_game(
    name: str, options: EnvOptions, folder: str | Path | None = None, checkpoint: str | None = None
) -> GameSpec:
    """Return the specification of a game that can be started, for `games.make`.

    The environment of an own game is opened once, to see that it starts and what its actions are.

    Args:
        name: Name of a game of the list, where those of ale-py take arguments; or any title, if the options name an
            environment or files describe it.
        options: Which environment, if any; without its own arguments, pictures and actions, it has those with which
            the files describe it.
        folder: Dataset that may describe it; the game's own by default.
        checkpoint: Checkpoint folder that may describe it; the game's own by default.

    Raises:
        GameError: There is no such game; or its environment does not start, or only a file names it, though it imports
            code; the message says what to type.
        ConfigError: Options of an environment are given without it, or are no JSON values.
    """
    if options.env is None:
        return _found(name, options, folder, checkpoint)
    source, actions = named_source(options)
    own = paths.own_name(name.removeprefix("GenieRedux/").removesuffix("-v0"))
    if not any(getattr(options, key) for key in OPTIONS if key != "env"):
        known = _described(own, folder, checkpoint)
        if known is not None and known.env == source.env:
            known.check_arguments()
            source = replace(known, named=True)
    return describe(own, source, actions)


def _found(name: str, options: EnvOptions, folder: str | Path | None, checkpoint: str | None) -> GameSpec:
    """The game of the list, or the own game as files describe it."""
    if spec := _with_arguments(name, options):
        return spec
    if given := [key for key in OPTIONS if getattr(options, key) is not None]:
        raise ConfigError(f"{given[0]} is about an environment of your own; name it with env as well")
    try:
        spec = find(name)
    except GameError:
        title = name.removeprefix("GenieRedux/").removesuffix("-v0")
        if not paths.OWN_NAMES.fullmatch(title):
            raise
        known = _described(paths.own_name(title), folder, checkpoint)
        if known is None:
            raise
        return describe(paths.own_name(title), known)
    # Whoever records more of one level, or explores it, goes on there.
    for described in _descriptions(spec.name, folder, checkpoint):
        with suppress(GameError):
            return replace(spec, savestates=GameSpec.from_dict(described).savestates)
    return spec


def _with_arguments(name: str, options: EnvOptions) -> GameSpec | None:
    """A game of the list whose environment takes arguments, with those of the options beside its own."""
    with suppress(GameError):
        spec = find(name)
        if spec.env is not None and options.env_kwargs and not (options.env_picture or options.env_actions):
            given, _ = named_source(replace(options, env=spec.env.env))
            env = replace(spec.env, kwargs={**spec.env.kwargs, **given.kwargs}, named=True)
            return replace(spec, env=env)
    return None


def with_env(config: Config, spec: GameSpec) -> Config:
    """Return a configuration with the name of a game, and all about its environment, once it is clear that it starts.

    What parts of the activity then are told is no longer what a file says alone: `real_game` has checked it.
    """
    source = spec.env
    if source is None or spec.system != "Own":
        return replace(config, game=spec.name)  # type: ignore[call-arg]
    return replace(
        config,
        game=spec.name,  # type: ignore[call-arg]
        env=source.env,
        env_kwargs=json.dumps(source.kwargs, sort_keys=True),
        env_picture=source.picture,
        env_actions=None if source.actions is None else json.dumps(source.actions),
    )


def _described(own: str, folder: str | Path | None, checkpoint: str | None) -> EnvSource | None:
    """What the dataset or the checkpoint of an own game says about its environment, if anything; it is not trusted."""
    for game in _descriptions(own, folder, checkpoint):
        if game.get("env") is not None:
            with suppress(GenieGymError, ValueError):
                return EnvSource.from_dict(game["env"])
    return None


def _descriptions(name: str, folder: str | Path | None, checkpoint: str | None) -> Iterator[dict[str, Any]]:
    """Yield what the dataset and the checkpoints of a game say about it."""
    from genie_gym.data.storage import Storage
    from genie_gym.world_model.parts import read_config

    dataset = Path(folder or paths.data_dir(name))
    weights = [Path(checkpoint)] if checkpoint is not None else []
    readers: list[Callable[[], dict[str, Any]]] = [
        lambda: Storage(dataset).read_header(),
        *(lambda place=place: read_config(place) for place in [*weights, paths.weights_dir(name)]),  # type: ignore[misc]
    ]
    for read in readers:
        with suppress(GenieGymError, ValueError):  # there is none, or it is damaged, which is said by what needs it
            game = read().get("game")
            if isinstance(game, dict) and game.get("name") == name:
                yield game
