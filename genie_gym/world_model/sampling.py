"""How the tokens of a new frame are sampled."""

import math
from dataclasses import dataclass, replace
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.utils.options import SamplingOptions

__all__ = ["SamplingConfig"]

ORDERS = ("confidence", "random")
MOST_STEPS = 4096  # one for each token of a frame of the largest side


@dataclass(frozen=True)
class SamplingConfig:
    """How the tokens of a new frame are sampled.

    The defaults are for long rollouts. Taking the likeliest token (temperature 0) scores three decibels more four
    frames ahead, but a game that waits for something waits for ever: a message that stays for 38 frames goes away with
    probability 1/38 at each. Unmasking the most confident tokens first has the same fault, as a rare token is sampled
    again. More passes than one bring little: in Airstriker eight take 4.9 times as long a step for half a decibel more
    four frames ahead, and no setting measured makes late frames more like the game than the default
    (benchmarks/results/sampling.md).

    Attributes:
        steps: MaskGIT passes per frame. Each unmasks more tokens, given those unmasked before.
        temperature: Sampling temperature; 0 takes the likeliest token.
        order: Order in which tokens are unmasked: "confidence" (most confident first) or "random".
        min_p: Tokens less likely than this share of the likeliest are never sampled.

    Raises:
        ConfigError: A value is out of range.
    """

    steps: int = 1
    temperature: float = 1.0
    order: str = "random"
    min_p: float = 0.02

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or not 1 <= self.steps <= MOST_STEPS:
            raise ConfigError(f"sampling steps must be a whole number from 1 to {MOST_STEPS}; got {self.steps!r:.60}")
        if not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature must be 0 or more; got {self.temperature}")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p must lie in [0, 1); got {self.min_p}")
        if self.order not in ORDERS:
            raise ConfigError(f"order must be one of {', '.join(ORDERS)}; got {self.order!r}")

    def with_overrides(self, options: SamplingOptions) -> "SamplingConfig":
        """Return the configuration with those options that are not None in place of its own values."""
        chosen: dict[str, Any] = {
            "steps": options.sampling_steps,
            "temperature": options.temperature,
            "order": options.order,
            "min_p": options.min_p,
        }
        return replace(self, **{name: value for name, value in chosen.items() if value is not None})
