"""The specification of an own game: what its environment says about itself, and where it comes from."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from genie_gym.errors import ConfigError, GameError, GenieGymError, first_line
from genie_gym.games.own_env.actions import action_table, describe_actions, played_actions
from genie_gym.games.own_env.adapter import OwnGame
from genie_gym.games.own_env.source import FUNCTION, EnvSource, find_function
from genie_gym.games.spec import GameSpec
from genie_gym.utils.jsonable import parse_json
from genie_gym.utils.options import EnvOptions
from genie_gym.utils.paths import own_name
from genie_gym.utils.validation import short

__all__ = ["as_json", "describe", "importable_name", "named_source", "open_game", "own", "own_spec"]


def own(
    game: str,
    env: str | Callable[..., gym.Env],
    *,
    env_kwargs: dict[str, Any] | None = None,
    env_picture: str | None = None,
    env_actions: int | list[Any] | str | Callable[[Any], Any] | None = None,
) -> GameSpec:
    """Return the specification of an environment of your own, which `games.make` and worker processes can make.

    Args:
        game: Title of the game, such as "Catch"; its name is then "Catch-Own".
        env: An importable function (or its name, "module:function") that returns the environment; or a Gymnasium id.
        env_kwargs: Keyword arguments of the function or the environment, JSON values.
        env_picture: "observation", "render" or a key of Dict observations, see `EnvOptions`.
        env_actions: A list of the environment's actions, or a number of values for each number of a Box; or a policy
            (or its name, "module:function"), which plays 5,000 steps to see which of many combinations occur.

    Raises:
        GameError: The environment does not start, or shows no pictures, or has actions that need a choice.
        ConfigError: The function cannot be imported by worker processes, or the arguments are no JSON values.

    >>> own("Cart", "CartPole-v1").name
    'Cart-Own'
    """
    name = env if isinstance(env, str) else importable_name(env)
    source = EnvSource(name, as_json("env_kwargs", env_kwargs or {}), env_picture, named=True)
    return describe(game, source, env_actions if callable(env_actions) else as_json("env_actions", env_actions))


def named_source(options: EnvOptions) -> tuple[EnvSource, int | list[Any] | str | None]:
    """Return the environment that options name, and the actions they ask for.

    Raises:
        ConfigError: The arguments are no JSON object, or the actions neither a list nor a number.
    """
    assert options.env is not None
    kwargs = _parsed("env_kwargs", options.env_kwargs, "{}", dict, "an object, such as '{\"size\": 9}'")
    actions: Any = options.env_actions
    if actions is None or not FUNCTION.fullmatch(actions):
        expected = "a list, or a whole number, or the name of a policy, module:function"
        actions = _parsed("env_actions", actions, "null", int | list | None, expected)
    return EnvSource(options.env, kwargs, options.env_picture, named=True), actions


def describe(
    title: str, source: EnvSource, actions: int | list[Any] | str | Callable[[Any], Any] | None = None
) -> GameSpec:
    """Open an environment once and return its specification, in which pictures and actions are decided.

    A policy, or its name, plays the environment to see which actions occur.

    Raises:
        GameError: See `own`; or a file names the environment, and the user would have to (see `EnvSource.check`).
    """
    env = source.open()
    try:
        policy = find_function(*actions.split(":")) if isinstance(actions, str) else actions
        wanted: Any = played_actions(env, policy) if callable(policy) else policy
        wanted = source.actions if wanted is None else wanted
        table = action_table(env.action_space, wanted)
        game = OwnGame(env, table, source.picture)
        _try_out(game, source)
        plain = isinstance(env.action_space, gym.spaces.Discrete) and wanted is None
        source = replace(source, picture=game.picture, actions=None if plain else table)
        return replace(own_spec(env, title, table), noop_max=0, env=source)  # its own resets say where episodes start
    finally:
        env.close()


def _try_out(game: OwnGame, source: EnvSource) -> None:
    """Raise GameError if an episode cannot be started: before any long work begins."""
    try:
        game.reset(seed=0)
    except GenieGymError:
        raise
    except Exception as error:  # whatever the code of others raises
        what = f"{type(error).__name__}: {first_line(error)}"
        raise GameError(f"{short(source.title)} cannot be reset: {what}") from error


def open_game(source: EnvSource) -> OwnGame:
    """Return the environment of a described own game.

    Raises:
        GameError: It does not start, or a file names it and the user would have to.
    """
    env = source.open()
    try:
        return OwnGame(env, action_table(env.action_space, source.actions), source.picture)
    except GameError:
        env.close()
        raise


def own_spec(env: gym.Env, title: str, table: list[Any], frame_skip: int = 1) -> GameSpec:
    """Return a specification from what an environment says about itself."""
    title = title.removesuffix("-Own")
    fps = float(env.metadata.get("render_fps") or 60) / frame_skip
    return GameSpec(own_name(title), title, "Own", describe_actions(env, table), fps, frame_skip)


def importable_name(function: Callable[..., gym.Env]) -> str:
    """Return "module:function", by which another process finds a function or class.

    Raises:
        ConfigError: It has no such name.
    """
    module, name = str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if module == "__main__":
        module = _name_of_main()
    if found is not function or not module:  # a lambda, a method of an object, a function in a function or a notebook
        raise ConfigError(
            f"{short(function)} cannot be imported by worker processes; put a function that returns the environment "
            "into a file, and give that (env='file:function')"
        )
    return f"{module}:{name}"


def _name_of_main() -> str:
    """The name by which other processes import the file that runs; empty in a notebook."""
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    return spec.name if spec else Path(file).stem if file else ""


def as_json(name: str, value: Any) -> Any:
    """Return arguments or actions of an environment as JSON values.

    Raises:
        ConfigError: JSON cannot hold them.
    """
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{name.replace('_', ' ')} must be values that JSON can hold, because recordings keep them ({error}); "
            "make other values in a function of your own"
        ) from error


def _parsed(name: str, text: str | None, default: str, kind: Any, expected: str) -> Any:
    try:
        value = parse_json(text or default)
    except ValueError:
        value = text
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigError(f"{name.replace('_', ' ')} must be {expected}, as JSON; got {short(text)}")
    return value
