"""Checking numbers that people give, before any work begins with them."""

import math

from genie_gym.errors import ConfigError

__all__ = ["at_least", "check_seed", "more_than_zero"]

LAST_SEED = 2**32 - 1  # that NumPy's global generator takes, which Stable-Baselines3 seeds


def at_least(least: int, **given: float | None) -> None:
    """Raises ConfigError where one of the values is less, or no number; None stands for a default, and passes.

    >>> at_least(1, steps=5, threads=None)
    """
    for name, value in given.items():
        if value is not None and not value >= least:  # as NaN is not
            raise ConfigError(f"{name.replace('_', ' ')} must be {least} or more, got {value}")


def more_than_zero(**given: float | None) -> None:
    """Raises ConfigError where one of the values is 0, less, infinite or no number; None stands for a default.

    >>> more_than_zero(minutes=0.5, zoom=None)
    """
    for name, value in given.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name.replace('_', ' ')} must be more than 0, got {value}")


def check_seed(seed: int) -> None:
    """Raises ConfigError where a seed is not from 0 to 2^32 - 1."""
    if not 0 <= seed <= LAST_SEED:
        raise ConfigError(f"seed must be from 0 to {LAST_SEED}, got {seed}")
