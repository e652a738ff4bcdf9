"""From a name to a running game, and from any pixel environment to the same interface."""

from importlib.util import find_spec

import gymnasium as gym
import numpy as np

from genie_gym.errors import GameError
from genie_gym.games import catalogue
from genie_gym.games.game_env import GameEnv
from genie_gym.games.spec import Action, GameSpec, key_names
from genie_gym.games.toy import ToyGame
from genie_gym.paths import own_name

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
    """Starts a game.

    Args:
        game: a name as `find` takes it, or a spec (of a checkpoint, say).
        size: side of the square observation, in pixels.
        frame_skip: emulator frames in one step; the game's own by default, 4 for emulators and 1 for the others.
        random_start: begin at a random savestate, after a random number of idle steps.
        max_steps: truncate episodes after this many steps; no limit by default.
        detailed: let `render` give the finest pictures there are: 512x512 for Procgen's games. Those of others are
            always in the console's own resolution.

    Returns:
        The environment; uint8 (size, size, 3) observations, `Discrete` actions.

    Raises:
        GameError: unknown game, no ROM, or a second emulator in one process.
        MissingExtraError: the emulator's package is not installed.

    >>> env = make("Toy-Numpy")
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape, env.get_action_meanings()
    ((64, 64, 3), ['NOOP', 'RIGHT', 'LEFT', 'JUMP'])
    """
    spec = game if isinstance(game, GameSpec) else catalogue.find(game)
    if frame_skip is not None:
        spec = spec.with_frame_skip(frame_skip)
    return GameEnv(_open(spec, random_start, detailed), spec, size=size, random_start=random_start, max_steps=max_steps)


def wrap(
    env: gym.Env,
    game: str | GameSpec = "Game",
    *,
    size: int = 64,
    frame_skip: int = 1,
    random_start: bool = True,
    max_steps: int | None = None,
) -> GameEnv:
    """Gives your own environment the interface of the others.

    Args:
        env: observations uint8 (height, width, 3), actions `Discrete` from 0. Its `get_action_meanings()` and
            `get_keys_to_action()` are taken over where it has them.
        game: what to call it, or a whole spec with one action for each of the environment's; with a spec, its frame
            skip counts and `frame_skip` is ignored.
        size, frame_skip, random_start, max_steps: as for `make`.

    Raises:
        GameError: observations or actions of another kind, or a spec with another number of actions.
    """
    _check_spaces(env)
    spec = game if isinstance(game, GameSpec) else _own_spec(env, game, frame_skip)
    if len(spec.actions) != env.action_space.n:  # type: ignore[attr-defined]
        raise GameError(
            f"The spec of {spec.name} has {len(spec.actions)} actions, its environment {env.action_space}. "
            "Give one Action for each."
        )
    return GameEnv(env, spec, size=size, random_start=random_start, max_steps=max_steps)


def available(game: str) -> bool:
    """Whether `make` would find everything it needs: the ROM and the emulator, or the extra package."""
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
    seen, acted = env.observation_space, env.action_space
    if not (isinstance(seen, gym.spaces.Box) and seen.dtype == np.uint8 and seen.shape[2:] == (3,)):
        raise GameError(f"Observations should be uint8 pictures of shape (height, width, 3). Received {seen}.")
    if not (isinstance(acted, gym.spaces.Discrete) and acted.start == 0):
        raise GameError(f"Actions should be Discrete and start at 0. Received {acted}.")


def _own_spec(env: gym.Env, title: str, frame_skip: int) -> GameSpec:
    """A spec made of what the environment says about itself."""
    if frame_skip < 1:
        raise GameError(f"frame_skip should be at least 1. Received {frame_skip}.")
    count = int(env.action_space.n)  # type: ignore[attr-defined]
    given = env.get_wrapper_attr("get_action_meanings")() if env.has_wrapper_attr("get_action_meanings") else None
    meanings = given or [f"ACTION_{i}" for i in range(count)]
    keys = env.get_wrapper_attr("get_keys_to_action")() if env.has_wrapper_attr("get_keys_to_action") else {}
    keys_of = {int(action): key_names(pressed) for pressed, action in keys.items()}
    actions = tuple(Action(str(meaning), keys=keys_of.get(i, ())) for i, meaning in enumerate(meanings))
    fps = float(env.metadata.get("render_fps") or 60) / frame_skip
    return GameSpec(own_name(title), title, "Own", actions, fps, frame_skip)
