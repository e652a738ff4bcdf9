"""How to act while collecting: at random, at random but persistently, or as a saved agent or any callable says."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from genie_gym.errors import ConfigError
from genie_gym.pipeline.agent_policy import AgentPolicy

__all__ = ["POLICIES", "Policy", "RandomPolicy", "RandomShare", "StickyPolicy", "make_policy"]


@runtime_checkable
class Policy(Protocol):
    """Anything callable with a frame, uint8 (h, w, 3), that returns an action index.

    Where it has a method `start(actions, rng)`, that is called at the start of every episode with the number of actions
    and the episode's own generator; all randomness should come from there, so that an episode can be repeated. Where it
    has `details` (a dict), they are kept in the header of a recording; `modules` (names of Python modules) are loaded
    once for all workers, not by each of them.
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


class RandomShare:
    """Another policy, some of whose actions are replaced by random ones, for variety.

    Args:
        policy: whose actions; it sees every frame, also where its action is not taken.
        share: of random actions, from 0 to 1. The paper's published code takes 0.15 when it collects.
    """

    def __init__(self, policy: Policy, share: float):
        if not 0 <= share <= 1:
            raise ConfigError(f"the share of random actions must lie in [0, 1], got {share}")
        self.policy, self.share = policy, share
        self.details = {**getattr(policy, "details", {}), "random_share": share}
        self.modules = getattr(policy, "modules", ())

    def start(self, actions: int, rng: np.random.Generator) -> None:
        if start := getattr(self.policy, "start", None):
            start(actions, rng.spawn(1)[0])  # the same with every share
        self._actions, self._rng = actions, rng

    def __call__(self, frame: np.ndarray) -> int:
        chosen = self.policy(frame)
        return int(self._rng.integers(self._actions)) if self._rng.random() < self.share else chosen


POLICIES: dict[str, type[RandomPolicy]] = {"random": RandomPolicy, "sticky": StickyPolicy}


def make_policy(policy: str | Policy, random_share: float = 0.0) -> tuple[str, Policy]:
    """A policy and its name, from the name, the path of a saved agent, or the policy itself.

    Args:
        policy: a name of POLICIES, a path as AgentPolicy takes it, or a policy.
        random_share: of actions replaced by random ones, see RandomShare.

    Raises:
        ConfigError: the name is unknown, the object cannot be called, or the share lies outside [0, 1].
    """
    found = _find(policy) if isinstance(policy, str) else policy
    if not callable(found):
        raise ConfigError(f"a policy must be a name or callable with a frame, got {type(policy).__name__}")
    name = policy if isinstance(policy, str) and policy in POLICIES else _name_of(found)
    if random_share:
        return f"{name}-random{100 * random_share:g}", RandomShare(found, random_share)
    return name, found


def _find(name: str) -> Policy:
    if name in POLICIES:
        return POLICIES[name]()
    if name.endswith(".zip") or Path(name).is_dir():
        return AgentPolicy(name)
    raise ConfigError(
        f"unknown policy {name!r}; choose one of: {', '.join(POLICIES)}, or the path of a saved agent (a .zip file)"
    )


def _name_of(policy: Any) -> str:
    return str(getattr(policy, "name", None) or getattr(policy, "__name__", None) or type(policy).__name__)
