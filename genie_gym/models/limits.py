"""Limits of the sizes of models, checked before anything is allocated: a file may ask for any size."""

import math
from dataclasses import fields
from typing import Any

import numpy as np

from genie_gym.errors import ConfigError

__all__ = ["LIMITS", "MAX_WEIGHTS", "check_patches", "check_sizes", "check_weights", "check_widths"]

MAX_WEIGHTS = 4_000_000_000  # of one transformer; the largest that was published for such a model has ten billion

# Several times what any model of the kind has; a field that is not here has no size.
LIMITS = {
    "size": 512,
    "patch": 512,
    "side": 64,
    "dim": 8192,
    "blocks": 256,
    "encoder_blocks": 256,
    "decoder_blocks": 256,
    "heads": 256,
    "window": 512,
    "feed_forwards": 2,
    "codes": 65_536,
    "code_dim": 1024,
    "drawing_dim": 1024,
    "encoder_width": 8192,
    "width": 8192,
    "fine_width": 8192,
    "coarse_dim": 8192,
    "fine_blocks": 256,
    "coarse_blocks": 256,
    "draft_blocks": 256,
    "shifts": 64,
    "reach": 64,
    "rollout_depth": 64,
    "num_actions": 1024,
    "scale": 16,
}
MAY_BE_ZERO = ("num_actions", "warmup")  # none are known yet; none is wanted
LONGEST = 10**9  # steps


def check_sizes(config: Any) -> None:
    """Check the numbers of a model's configuration, a dataclass whose fields are int, float or bool.

    Raises:
        ConfigError: A number is of another type or outside its limits.
    """
    for field in fields(config):
        name, value = field.name, getattr(config, field.name)
        if field.type is int:
            least, most = int(name not in MAY_BE_ZERO), LIMITS.get(name, LONGEST)
            if not is_whole(value) or not least <= value <= most:
                raise ConfigError(f"{name} must be a whole number from {least} to {most:,}; got {shown(value)}")
        elif field.type is float and not (isinstance(value, float | int | np.number) and 0 <= value < math.inf):
            raise ConfigError(f"{name} must be a number, 0 or more; got {shown(value)}")
        elif field.type is bool and not isinstance(value, bool):
            raise ConfigError(f"{name} must be true or false; got {shown(value)}")


def check_weights(dim: int, blocks: int, per_block: float) -> None:
    """Check about how many weights a transformer has, `blocks * per_block * dim^2`.

    Raises:
        ConfigError: They are more than `MAX_WEIGHTS`.
    """
    if (weights := blocks * per_block * dim**2) > MAX_WEIGHTS:
        raise ConfigError(
            f"dim {dim} with {blocks} blocks makes {weights / 1e9:.0f} billion weights, more than "
            f"{MAX_WEIGHTS / 1e9:.0f} billion; choose a smaller dim or fewer blocks"
        )


def check_patches(size: int, patch: int) -> None:
    """Raise ConfigError if frames of that size cannot be divided into patches of that size."""
    if size % patch:
        raise ConfigError(f"patch must divide size; got {patch} and {size}")


def check_widths(widths: tuple[int, ...]) -> None:
    """Raise ConfigError if these are not the widths of one to eight levels."""
    whole = all(is_whole(width) for width in widths)
    if not whole or not 1 <= len(widths) <= 8 or not all(1 <= width <= LIMITS["dim"] // 2 for width in widths):
        raise ConfigError(f"widths must be 1 to 8 whole numbers from 1 to {LIMITS['dim'] // 2:,}; got {shown(widths)}")


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, of Python or NumPy; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """Return the value in at most sixty letters."""
    if isinstance(value, int) and value.bit_length() > 1000:  # Python refuses to write more than 4,300 digits
        return f"a number of {value.bit_length()} bits"
    return f"{value!r:.60}"
