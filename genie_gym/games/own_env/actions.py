"""A table of the actions of an environment: Discrete as they are, others as combinations, all or those that occur."""

import json
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from itertools import product
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import GameError, first_line
from genie_gym.games.spec import Action, key_names
from genie_gym.utils.validation import short

__all__ = ["action_table", "describe_actions", "played_actions"]

MOST_COMBINATIONS = 64  # a model learns each action on its own; more are rarely all tried
MOST_ACTIONS = 1000
PLAYED_STEPS = 5000  # of a policy, to see which actions occur
MOST_VALUES = 100  # of one number
ARROWS = ("up", "down", "left", "right")


def action_table(space: gym.Space, wanted: int | list[Any] | None = None) -> list[Any]:
    """Return the values of an action space that a game's actions stand for.

    Args:
        space: The environment's action space.
        wanted: The values themselves, as lists of numbers (for Discrete, as whole numbers); or, for a Box, the number
            of evenly spaced values, ends included, that each of its numbers takes. By default all values of a Discrete
            space and all combinations of a MultiDiscrete or MultiBinary one.

    Returns:
        JSON values: whole numbers, or lists of numbers in the shape of the space.

    Raises:
        GameError: The space has no such values, or more combinations than a model should learn.
    """
    if isinstance(wanted, list):
        return _checked(space, wanted)
    if isinstance(space, gym.spaces.Box):
        return _combinations(space, _box_choices(space, wanted))
    if wanted is not None:
        raise GameError(f"A number of values is for the actions of a Box. Received {wanted} for {short(space)}.")
    if isinstance(space, gym.spaces.Discrete):
        if space.n > MOST_ACTIONS:
            raise GameError(f"{space} has more actions than a model can learn. Give a list of some (--env-actions).")
        return [int(space.start) + i for i in range(int(space.n))]
    if isinstance(space, gym.spaces.MultiBinary):
        return _combinations(space, [[0, 1]] * int(np.prod(space.shape)))
    if isinstance(space, gym.spaces.MultiDiscrete):
        ends = zip(space.start.flat, space.nvec.flat, strict=True)
        return _combinations(space, [[int(start) + i for i in range(int(count))] for start, count in ends])
    raise GameError(
        f"Actions should be Discrete, MultiDiscrete, MultiBinary or Box. Received {short(space)}: make one of these of "
        "them with gymnasium.wrappers.TransformAction."
    )


def played_actions(env: gym.Env, policy: Callable[[Any], Any], steps: int = PLAYED_STEPS, seed: int = 0) -> list[Any]:
    """Return the actions that occur while a policy plays: at most 64, the most frequent first.

    Args:
        env: An environment with Discrete, MultiDiscrete or MultiBinary actions; it is played, but not closed.
        policy: Returns the action for an observation, as the environment takes it.
        steps: Length of the play.
        seed: Random seed of the first episode.

    Returns:
        JSON values, as `action_table` takes them.

    Raises:
        GameError: Actions are numbers of a Box, of which hardly any occurs twice; or the policy fails, or gives what
            is no action.
    """
    space = env.action_space
    if not isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        raise GameError(f"Actions of {short(space)} hardly occur twice. Give a list of them, or a number of values.")
    counts: Counter[str] = Counter()
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        try:
            action = policy(observation)
        except Exception as error:  # whatever the code of others raises
            raise GameError(f"The policy failed: {type(error).__name__}: {first_line(error)}") from error
        value = np.asarray(action).tolist()
        if not _contains(space, value):
            raise GameError(f"The policy gave {short(action)}, which is no action of {short(space)}.")
        counts[json.dumps(value)] += 1
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
    return [json.loads(text) for text, _ in counts.most_common(MOST_COMBINATIONS)]


def describe_actions(env: gym.Env, table: list[Any]) -> tuple[Action, ...]:
    """Return names and keys of the actions of a table: the environment's own where it has some."""
    space = env.action_space
    if not isinstance(space, gym.spaces.Discrete):
        meanings = [_meaning(space, value) for value in table]
        return tuple(Action(meaning, keys=_keys(meaning, i)) for i, meaning in enumerate(meanings))
    names = [str(name) for name in _ask(env, "get_action_meanings") or _enumerated(env, space) or _numbered(space)]
    if len(names) != space.n:
        raise GameError(f"The environment has {len(names)} names of actions, and the actions {space}.")
    meanings, keys = [names[value - int(space.start)] for value in table], _ask(env, "get_keys_to_action")
    if not keys:
        return tuple(Action(meaning, keys=_keys(meaning, i)) for i, meaning in enumerate(meanings))
    keys_of = {int(action): key_names(pressed) for pressed, action in keys.items()}
    return tuple(Action(name, keys=keys_of.get(value, ())) for name, value in zip(meanings, table, strict=True))


def _ask(env: gym.Env, method: str) -> Any:
    return env.get_wrapper_attr(method)() if env.has_wrapper_attr(method) else None


def _enumerated(env: gym.Env, space: gym.spaces.Discrete) -> list[str]:
    """Return the names of an environment's enumeration `actions`, as MiniGrid and BabyAI have it; else nothing."""
    kind = getattr(env.unwrapped, "actions", None)
    if not (isinstance(kind, type) and issubclass(kind, IntEnum)):
        return []
    names = {int(one): one.name.upper() for one in kind}
    values = [int(space.start) + i for i in range(int(space.n))]
    return [names[value] for value in values] if set(values) <= set(names) else []


def _numbered(space: gym.spaces.Discrete) -> list[str]:
    return [f"ACTION_{i}" for i in range(int(space.n))]


def _meaning(space: gym.Space, value: list[Any]) -> str:
    numbers = np.ravel(value)
    if isinstance(space, gym.spaces.MultiBinary) and not numbers.any():
        return "NOOP"
    return ",".join(f"{number:.3g}" for number in numbers)


def _keys(meaning: str, index: int) -> tuple[str, ...]:
    """Return the arrow that an action is named after, else its number if that is one digit; nothing for no action."""
    if meaning == "NOOP":
        return ()
    return (meaning.lower(),) if meaning.lower() in ARROWS else (str(index),) if index < 10 else ()


def _box_choices(space: gym.spaces.Box, count: int | None) -> list[list[float]]:
    if count is None:
        raise GameError(
            f"There are endlessly many actions in {short(space)}. Say which ones to take: a number of evenly spaced "
            "values of each of its numbers, such as --env-actions 3, or a list of actions, such as "
            f"--env-actions '{_example(space)}'."
        )
    if not 2 <= count <= MOST_VALUES:
        raise GameError(f"The values of each number of an action should be from 2 to {MOST_VALUES}. Received {count}.")
    if not space.is_bounded():
        raise GameError(f"{short(space)} has no ends to space values between. Give a list of actions (--env-actions).")
    ends = zip(space.low.flat, space.high.flat, strict=True)
    return [[round(float(one), 6) for one in np.linspace(low, high, count)] for low, high in ends]


def _example(space: gym.spaces.Box) -> str:
    least, most = (np.nan_to_num(end, posinf=1, neginf=-1).round(3).tolist() for end in (space.low, space.high))
    return f"[{least}, {most}]"


def _combinations(space: gym.Space, choices: list[list[Any]]) -> list[Any]:
    assert space.shape is not None
    count = np.prod([float(len(one)) for one in choices])
    if count > MOST_COMBINATIONS:
        raise GameError(
            f"Actions are {short(space)}: {count:,.0f} combinations, of which a model can learn some "
            f"{MOST_COMBINATIONS}. Give a list of those that matter, such as --env-actions "
            f"'{[[one[0] for one in choices], [one[-1] for one in choices]]}', or a policy, of whose play those that "
            "occur are taken: --env-actions module:function."
        )
    return [np.reshape(numbers, space.shape).tolist() for numbers in product(*choices)]


def _checked(space: gym.Space, values: list[Any]) -> list[Any]:
    for value in values:
        if not _contains(space, value):
            raise GameError(f"{short(value)} is no action of {short(space)}.")
    if not 0 < len(values) <= MOST_ACTIONS:
        raise GameError(f"A game has from 1 to {MOST_ACTIONS} actions. Received a list of {len(values)}.")
    return values


def _contains(space: gym.Space, value: Any) -> bool:
    if isinstance(space, gym.spaces.Discrete):
        return isinstance(value, int) and not isinstance(value, bool) and bool(space.contains(value))
    try:
        exact, typed = np.array(value), np.array(value, space.dtype)
    except (TypeError, ValueError, OverflowError):
        return False
    return exact.dtype.kind in "iuf" and bool(np.allclose(exact, typed)) and bool(space.contains(typed))
