"""Creating games by name, and wrapping other pixel environments in the same interface."""

from importlib.util import find_spec
from typing import Any

import gymnasium as gym

from genie_gym.errors import GameError, GenieGymError
from genie_gym.games import catalogue
from genie_gym.games.game_env import GameEnv
from genie_gym.games.own_env.actions import action_table
from genie_gym.games.own_env.adapter import as_game
from genie_gym.games.own_env.describe import open_game, own_spec
from genie_gym.games.spec import GameSpec, check_frame_skip
from genie_gym.games.toy import ToyGame
from genie_gym.utils.validation import short, typed

__all__ = ["available", "make", "wrap"]


def make(
    game: str | GameSpec,
    *,
    size: int = 64,
    frame_skip: int | None = None,
    random_start: bool = True,
    max_steps: int | None = None,
    detailed: bool = False,
) -> GameEnv:
    """Create the environment of a game.

    Args:
        game: Name of the game as `find` takes it, or a specification: that of a checkpoint, or of an environment of
            your own, see `own`.
        size: Side of the square observation in pixels.
        frame_skip: Emulator frames per step; by default 4 for emulators and 1 for other games.
        random_start: Start episodes at a random savestate, after a random number of no-op steps.
        max_steps: Truncate episodes after this many steps; no limit by default.
        detailed: Let `render` return the highest resolution available: 512x512 for Procgen. Other games always return
            the console's own resolution.

    Returns:
        An environment with uint8 (size, size, 3) observations and `Discrete` actions.

    Raises:
        GameError: The game is unknown or has no ROM, or this process already runs an emulator; or the specification was
            read from a file, and its environment must be named by you (see `own`).
        MissingExtraError: The emulator's package is not installed.

    >>> env = make("Toy-Numpy")
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape, env.get_action_meanings()
    ((64, 64, 3), ['NOOP', 'RIGHT', 'LEFT', 'JUMP'])
    """
    spec = game if isinstance(game, GameSpec) else catalogue.find(typed("game", game, str))
    frame_skip = typed("frame_skip", frame_skip, int | None)
    random_start, detailed = typed("random_start", random_start, bool), typed("detailed", detailed, bool)
    if frame_skip is not None:
        spec = spec.with_frame_skip(frame_skip)
    source = _open(spec, random_start, detailed)
    try:
        return GameEnv(source, spec, size=size, random_start=random_start, max_steps=max_steps)
    except GenieGymError:
        source.close()  # or the process could not start another emulator
        raise


def wrap(
    env: gym.Env,
    game: str | GameSpec = "Game",
    *,
    size: int = 64,
    frame_skip: int = 1,
    random_start: bool = True,
    max_steps: int | None = None,
    picture: str | None = None,
    actions: int | list[Any] | None = None,
) -> GameEnv:
    """Wrap your own environment in the interface of the other games.

    Args:
        env: Environment that shows pictures: uint8, grey or RGB, with channels first or last; as observation, as one
            part of Dict observations, or by `render()`. Its methods `get_action_meanings()` and `get_keys_to_action()`
            are used if it has them.
        game: Title of the game, or a whole specification with one action for each of the environment's. The frame skip
            of a specification replaces `frame_skip`.
        size: Side of the square observation in pixels.
        frame_skip: Frames of the environment per step.
        random_start: Start episodes after a random number of no-op steps.
        max_steps: Truncate episodes after this many steps; no limit by default.
        picture: "observation", "render" for what `render()` returns, or a key of Dict observations; by default the
            observation if it is a picture, else what is rendered.
        actions: The environment's actions that action 0, 1, ... stand for; by default all of a Discrete space, and all
            combinations of a MultiDiscrete or MultiBinary one. For a Box they must be given, or a number of evenly
            spaced values for each of its numbers.

    Raises:
        GameError: The environment has other kinds of observations or actions, or the specification has another number
            of actions.
    """
    if not isinstance(env, gym.Env):
        raise GameError(f"Only an environment of Gymnasium can be wrapped. Received {short(env)}.")
    table = action_table(env.action_space, actions)
    if not isinstance(game, GameSpec):
        check_frame_skip(frame_skip := typed("frame_skip", frame_skip, int))
        game = own_spec(env, typed("game", game, str), table, frame_skip)
    spec = game
    if len(spec.actions) != len(table):
        raise GameError(
            f"The spec of {spec.name} has {len(spec.actions)} actions, its environment {len(table)}. "
            "Give one Action for each."
        )
    return GameEnv(as_game(env, table, picture), spec, size=size, random_start=random_start, max_steps=max_steps)


def available(game: str) -> bool:
    """Return whether `make` can create the game: its ROM and emulator, or its optional package, are present."""
    spec = catalogue.find(game)
    if spec.system == "Numpy":
        return True
    if package := {"Procgen": "procgen", "Ale": "ale_py"}.get(spec.system):
        return find_spec(package) is not None
    from genie_gym.games import retro

    return retro.rom_path(spec.name) is not None


def _open(spec: GameSpec, random_start: bool, detailed: bool) -> gym.Env:
    if spec.env is not None:
        return open_game(spec.env)
    if spec.system == "Numpy":
        return ToyGame()
    if spec.system == "Procgen":
        from genie_gym.games.procgen import ProcgenGame

        return ProcgenGame(spec, detailed=detailed)
    if spec.name not in catalogue.names():
        raise GameError(
            f"{spec.name} has no emulator here. Name its environment (games.own), or make it and call "
            "games.wrap(env, spec)."
        )
    from genie_gym.games.retro import RetroGame

    return RetroGame(spec, random_start)
