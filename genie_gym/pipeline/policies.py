"""How to act while collecting: at random, at random but persistently, or as any callable says."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from genie_gym.errors import ConfigError

__all__ = ["POLICIES", "Policy", "RandomPolicy", "StickyPolicy", "make_policy"]


@runtime_checkable
class Policy(Protocol):
    """Anything callable with a frame, uint8 (h, w, 3), that returns an action index.

    Where it has a method `start(actions, rng)`, that is called at the start of every episode with the number of actions
    and the episode's own generator; all randomness should come from there, so that an episode can be repeated.
    """

    def __call__(self, frame: np.ndarray) -> int: ...


class RandomPolicy:
    """Every action is drawn anew, each as likely as any other."""

    def start(self, actions: int, rng: np.random.Generator) -> None:
        self._actions, self._rng = actions, rng

    def __call__(self, frame: np.ndarray) -> int:
        return int(self._rng.integers(self._actions))


class StickyPolicy(RandomPolicy):
    """Holds each action for a random (geometric) number of steps: it walks where `random` only trembles.

    Args:
        mean: average number of steps an action is held, at least 1.
    """

    def __init__(self, mean: float = 6.0):
        if mean < 1:
            raise ConfigError(f"an action must be held for at least 1 step on average, got {mean}")
        self.mean = mean

    def start(self, actions: int, rng: np.random.Generator) -> None:
        super().start(actions, rng)
        self._left = 0

    def __call__(self, frame: np.ndarray) -> int:
        if self._left == 0:
            self._held = super().__call__(frame)
            self._left = int(self._rng.geometric(1 / self.mean))
        self._left -= 1
        return self._held


POLICIES: dict[str, type[RandomPolicy]] = {"random": RandomPolicy, "sticky": StickyPolicy}


def make_policy(policy: str | Policy) -> tuple[str, Policy]:
    """A policy and its name, from the name or from the policy itself.

    Raises:
        ConfigError: the name is unknown or the object cannot be called.
    """
    if isinstance(policy, str):
        if policy not in POLICIES:
            raise ConfigError(f"unknown policy {policy!r}; choose one of: {', '.join(POLICIES)}")
        return policy, POLICIES[policy]()
    if not callable(policy):
        raise ConfigError(f"a policy must be a name or callable with a frame, got {type(policy).__name__}")
    return _name_of(policy), policy


def _name_of(policy: Any) -> str:
    return str(getattr(policy, "name", None) or getattr(policy, "__name__", None) or type(policy).__name__)
