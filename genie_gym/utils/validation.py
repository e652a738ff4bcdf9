"""Validation of options."""

import math
from typing import TYPE_CHECKING

from genie_gym.errors import ConfigError

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

__all__ = ["at_least", "check_autoreset_mode", "check_seed", "more_than_zero"]

LAST_SEED = 2**32 - 1  # the largest seed of NumPy's global generator, which Stable-Baselines3 seeds


def at_least(least: int, **values: float | None) -> None:
    """Raise ConfigError if one of the values is less, or NaN; None stands for a default and is allowed.

    >>> at_least(1, steps=5, threads=None)
    """
    for name, value in values.items():
        if value is not None and not value >= least:  # false for NaN
            raise ConfigError(f"{name.replace('_', ' ')} must be {least} or more, got {value}")


def more_than_zero(**values: float | None) -> None:
    """Raise ConfigError if one of the values is 0, negative, infinite or NaN; None stands for a default.

    >>> more_than_zero(minutes=0.5, zoom=None)
    """
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name.replace('_', ' ')} must be more than 0, got {value}")


def check_seed(seed: int) -> None:
    """Raise ConfigError if a seed is not from 0 to 2^32 - 1."""
    if not 0 <= seed <= LAST_SEED:
        raise ConfigError(f"seed must be from 0 to {LAST_SEED}, got {seed}")


def check_autoreset_mode(mode: "str | AutoresetMode") -> "AutoresetMode":
    """Return Gymnasium's autoreset mode of that name: "NextStep", "SameStep" or "Disabled".

    Raises:
        ConfigError: There is no such mode.
    """
    from gymnasium.vector import AutoresetMode  # configurations need not wait for it

    try:
        return AutoresetMode(mode)
    except ValueError as error:
        raise ConfigError(f"autoreset_mode must be one of {[m.value for m in AutoresetMode]}; got {mode!r}") from error
