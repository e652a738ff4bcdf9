"""Creating games by name, and wrapping other pixel environments in the same interface."""

from importlib.util import find_spec

import gymnasium as gym
import numpy as np

from genie_gym.errors import GameError, GenieGymError
from genie_gym.games import catalogue
from genie_gym.games.game_env import GameEnv
from genie_gym.games.spec import Action, GameSpec, check_frame_skip, key_names
from genie_gym.games.toy import ToyGame
from genie_gym.utils.paths import own_name
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
        game: Name of the game as `find` takes it, or a specification (for example from a checkpoint).
        size: Side of the square observation in pixels.
        frame_skip: Emulator frames per step; by default 4 for emulators and 1 for other games.
        random_start: Start episodes at a random savestate, after a random number of no-op steps.
        max_steps: Truncate episodes after this many steps; no limit by default.
        detailed: Let `render` return the highest resolution available: 512x512 for Procgen. Other games always return
            the console's own resolution.

    Returns:
        An environment with uint8 (size, size, 3) observations and `Discrete` actions.

    Raises:
        GameError: The game is unknown or has no ROM, or this process already runs an emulator.
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
) -> GameEnv:
    """Wrap your own environment in the interface of the other games.

    Args:
        env: Environment with observations uint8 (height, width, 3) and `Discrete` actions starting at 0. Its methods
            `get_action_meanings()` and `get_keys_to_action()` are used if it has them.
        game: Title of the game, or a whole specification with one action for each of the environment's. The frame skip
            of a specification replaces `frame_skip`.
        size: Side of the square observation in pixels.
        frame_skip: Frames of the environment per step.
        random_start: Start episodes after a random number of no-op steps.
        max_steps: Truncate episodes after this many steps; no limit by default.

    Raises:
        GameError: The environment has other kinds of observations or actions, or the specification has another number
            of actions.
    """
    _check_spaces(env)
    if not isinstance(game, GameSpec):
        game = _own_spec(env, typed("game", game, str), typed("frame_skip", frame_skip, int))
    spec = game
    if len(spec.actions) != env.action_space.n:  # type: ignore[attr-defined]
        raise GameError(
            f"The spec of {spec.name} has {len(spec.actions)} actions, its environment {env.action_space}. "
            "Give one Action for each."
        )
    return GameEnv(env, spec, size=size, random_start=random_start, max_steps=max_steps)


def available(game: str) -> bool:
    """Return whether `make` can create the game: its ROM and emulator, or its optional package, are present."""
    spec = catalogue.find(game)
    if spec.system == "Numpy":
        return True
    if spec.system == "Procgen":
        return find_spec("procgen") is not None
    from genie_gym.games import retro

    return retro.rom_path(spec.name) is not None


def _open(spec: GameSpec, random_start: bool, detailed: bool) -> gym.Env:
    if spec.system == "Numpy":
        return ToyGame()
    if spec.system == "Procgen":
        from genie_gym.games.procgen import ProcgenGame

        return ProcgenGame(spec, detailed=detailed)
    if spec.name not in catalogue.names():
        raise GameError(f"{spec.name} has no emulator here. Make its environment and call games.wrap(env, spec).")
    from genie_gym.games.retro import RetroGame

    return RetroGame(spec, random_start)


def _check_spaces(env: gym.Env) -> None:
    if not isinstance(env, gym.Env):
        raise GameError(f"Only an environment of Gymnasium can be wrapped. Received {short(env)}.")
    observations, actions = env.observation_space, env.action_space
    if not (
        isinstance(observations, gym.spaces.Box) and observations.dtype == np.uint8 and observations.shape[2:] == (3,)
    ):
        raise GameError(f"Observations should be uint8 images of shape (height, width, 3). Received {observations}.")
    if not (isinstance(actions, gym.spaces.Discrete) and actions.start == 0):
        raise GameError(f"Actions should be Discrete and start at 0. Received {actions}.")


def _own_spec(env: gym.Env, title: str, frame_skip: int) -> GameSpec:
    """Return a specification from what the environment says about itself."""
    check_frame_skip(frame_skip)
    count = int(env.action_space.n)  # type: ignore[attr-defined]
    given = env.get_wrapper_attr("get_action_meanings")() if env.has_wrapper_attr("get_action_meanings") else None
    meanings = given or [f"ACTION_{i}" for i in range(count)]
    keys = env.get_wrapper_attr("get_keys_to_action")() if env.has_wrapper_attr("get_keys_to_action") else {}
    keys_of = {int(action): key_names(pressed) for pressed, action in keys.items()}
    actions = tuple(Action(str(meaning), keys=keys_of.get(i, ())) for i, meaning in enumerate(meanings))
    fps = float(env.metadata.get("render_fps") or 60) / frame_skip
    return GameSpec(own_name(title), title, "Own", actions, fps, frame_skip)
