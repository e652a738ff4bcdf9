"""The spec that Gymnasium gives an environment, as values that JSON can hold."""

from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from genie_gym.envs.config import WorldModelEnvConfig

__all__ = ["PlainSpec"]


class PlainSpec:
    """Mixin of environments: `spec.to_json()` works whatever options they were made with.

    `gymnasium.make` sets the spec with the very objects that it was given: paths, NumPy's numbers, a configuration.
    """

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` makes the same environment of."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec and replace(spec, kwargs=_plain(spec.kwargs))


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return keyword options with a configuration written out, but for the options that it leaves as they are."""
    config = options.get("config")
    written = {}
    if isinstance(config, WorldModelEnvConfig):
        options = {name: value for name, value in options.items() if name != "config"}
        values = {field.name: (getattr(config, field.name), field.default) for field in fields(config)}
        written = {name: value for name, (value, default) in values.items() if value != default}
    return {name: _plain_value(value) for name, value in (options | written).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, np.generic):
        return value.item()
    return value.value if isinstance(value, Enum) else value
