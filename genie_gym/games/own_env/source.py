"""Where an environment of one's own comes from, as recordings and checkpoints keep it, and opening it.

A name "module:function" or "module:Id-v0" imports code, and a file may be anybody's. So what a file says is opened only
if it is the id of an environment that an installed package has registered, and its arguments are numbers: text could
name code or a file. Everything else must be named by the user: see `EnvSource.check`.
"""

import importlib
import inspect
import json
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym

from genie_gym.errors import GameError, GenieGymError, first_line
from genie_gym.utils.extras import require
from genie_gym.utils.jsonable import from_jsonable
from genie_gym.utils.validation import short

__all__ = ["FUNCTION", "EnvSource", "find_function"]

FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)  # what else has a colon is a Gymnasium id
LONGEST_NAME, LONGEST_KWARGS, MOST_ACTIONS = 200, 10_000, 1000

# Packages that register their environments only once they are imported.
REGISTERS = {"ALE/": "ale_py", "BabyAI-": "minigrid", "MiniGrid-": "minigrid", "highway-": "highway_env"}


@dataclass(frozen=True)
class EnvSource:
    """The environment of an own game.

    Attributes:
        env: "module:function", where the function returns the environment; or an id of Gymnasium, "Id-v0" or, if its
            package must be imported first, "module:Id-v0".
        kwargs: Keyword arguments of the function or the environment, JSON values.
        picture: "observation", "render" for the image that `render()` returns, or a key of Dict observations.
        actions: Values of the environment's action space, as JSON values, in the order of the game's actions; None for
            all of a Discrete space.
        named: Whether the user named it, on the command line or in Python. Never read from a file.
    """

    env: str
    kwargs: dict[str, Any] = field(default_factory=dict, hash=False)
    picture: str | None = None
    actions: list[Any] | None = field(default=None, hash=False)
    named: bool = field(default=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"env": self.env, "kwargs": self.kwargs, "picture": self.picture, "actions": self.actions}

    @classmethod
    def from_dict(cls, plain: Any) -> "EnvSource":
        """Return what `to_dict` of an environment that a file describes was; it counts as not named by the user.

        Raises:
            ValueError: A value has another type or is too long.
        """
        known: EnvSource = from_jsonable(cls, plain, "env")
        kwargs = json.dumps(known.kwargs)
        if not 0 < len(known.env) <= LONGEST_NAME or len(kwargs) > LONGEST_KWARGS:
            raise ValueError(f"env {known.env!r:.60} has a name or arguments that are empty or too long")
        if known.actions is not None and not 0 < len(known.actions) <= MOST_ACTIONS:
            raise ValueError(f"env {known.env!r:.60} has {len(known.actions)} actions")
        return cls(known.env, known.kwargs, known.picture, known.actions)

    @property
    def title(self) -> str:
        """The environment with its arguments, for messages."""
        return f"{self.env} {json.dumps(self.kwargs)}" if self.kwargs else self.env

    def check(self) -> None:
        """Check that opening the environment imports nothing that the user has not named.

        Raises:
            GameError: It was read from a file, and would import code, or has arguments that are no numbers; the message
                says what to type.
        """
        if not self.named:
            if ":" in self.env:
                self._refuse()
            self.check_arguments()

    def check_arguments(self) -> None:
        """Check that the arguments, which were read from a file, are numbers: they can name neither code nor a file.

        Raises:
            GameError: They are not; the message says what to type.
        """
        if not _only_numbers(self.kwargs):
            self._refuse()

    def _refuse(self) -> None:
        kwargs = "" if _only_numbers(self.kwargs) else f" --env-kwargs {shlex.quote(json.dumps(self.kwargs))}"
        raise GameError(
            f"Only a file, which may be anybody's, names the environment {short(self.title)}, and starting it would "
            f"run code. If you know what it does, add: --env {shlex.quote(self.env)}{kwargs}"
        )

    def open(self) -> gym.Env:
        """Return the environment, with `render_mode` "rgb_array" if it has that.

        Raises:
            GameError: It is not there or fails, or the user would have to name it (see `check`).
        """
        self.check()
        try:
            env = self._call() if FUNCTION.fullmatch(self.env) else self._make()
        except GenieGymError:
            raise
        except gym.error.UnregisteredEnv as error:
            raise GameError(
                f"No environment is registered as {short(self.env)} ({first_line(error)}). Install its package, and if "
                f"it must be imported first, name it: --env MODULE:{self.env.rpartition(':')[2]}"
            ) from error
        except Exception as error:  # whatever the code of others raises
            raise GameError(
                f"{short(self.title)} did not start: {type(error).__name__}: {first_line(error)}"
            ) from error
        if not isinstance(env, gym.Env):
            raise GameError(f"{self.env} should return an environment of Gymnasium. Received {short(env)}.")
        return env

    def _call(self) -> Any:
        module, _, name = self.env.partition(":")
        function = find_function(module, name)
        kwargs = dict(self.kwargs)
        with suppress(TypeError, ValueError):  # it has no signature that can be read
            if "render_mode" in inspect.signature(function).parameters:
                kwargs = {"render_mode": "rgb_array", **kwargs}
        return function(**kwargs)

    def _make(self) -> gym.Env:
        if ":" in self.env:
            _import(self.env.partition(":")[0])
        name = self.env.rpartition(":")[2]
        for start, package in REGISTERS.items():
            if name.startswith(start) and name not in gym.registry:
                with suppress(ModuleNotFoundError):
                    module = require(package)
                    if package == "ale_py":  # or it greets in every process
                        module.ALEInterface.setLoggerMode(module.LoggerMode.Error)
        try:
            return gym.make(name, disable_env_checker=True, **{"render_mode": "rgb_array", **self.kwargs})
        except TypeError as error:
            if "render_mode" in self.kwargs or "render_mode" not in str(error):
                raise
            return gym.make(name, disable_env_checker=True, **self.kwargs)


def _only_numbers(value: Any) -> bool:
    """Return whether a JSON value is a number, true, false or null, or lists and tables of such."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and key.isidentifier() and _only_numbers(one) for key, one in value.items())
    return all(map(_only_numbers, value)) if isinstance(value, list) else not isinstance(value, str)


def find_function(module: str, name: str) -> Callable[..., Any]:
    """Import a function or class that the user named.

    Raises:
        GameError: There is no such module or function.
    """
    found: Any = _import(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise GameError(f"The module {module} has no {name!r}. Give the name of a function in it.")
        found = getattr(found, part)
    if not callable(found):
        raise GameError(f"{module}:{name} should be a function. Received {short(found)}.")
    return found


def _import(module: str) -> Any:
    """Import a module that the user named, from the current folder as well."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that no file in it hides a library; worker processes get the same path
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        file = f" A file is named without its .py: {module.removesuffix('.py')}:..." if module.endswith(".py") else ""
        raise GameError(
            f"There is no module {error.name!r} in {here} or among the installed packages. Go to its folder, or "
            f"install its package.{file}"
        ) from error
