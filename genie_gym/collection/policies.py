"""Policies to collect episodes with: random, sticky, a saved agent, or any callable."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from genie_gym.collection.agent_policy import AGENT, find_agent, names_path
from genie_gym.errors import ConfigError
from genie_gym.utils import paths

__all__ = ["POLICIES", "EpsilonPolicy", "Policy", "RandomPolicy", "StickyPolicy", "make_policy"]


@runtime_checkable
class Policy(Protocol):
    """A callable that maps a frame, uint8 (h, w, 3), to the index of an action.

    Three attributes are optional:

    - `reset(num_actions, rng)` is called at the start of every episode with the number of actions and a generator for
      that episode. Take all randomness from this generator, so that the episode can be repeated.
    - `details`, a dict, is stored in the header of the dataset.
    - `modules`, names of Python modules, are imported once for all worker processes rather than by each of them.
    """

    def __call__(self, frame: np.ndarray) -> int: ...


class RandomPolicy:
    """A policy that draws every action independently and uniformly."""

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        self._num_actions, self._rng = num_actions, rng

    def __call__(self, frame: np.ndarray) -> int:
        return int(self._rng.integers(self._num_actions))


class StickyPolicy(RandomPolicy):
    """A policy that holds each random action for a geometrically distributed number of steps, and so gets further.

    Args:
        mean: Average number of steps for which an action is held, at least 1.

    Raises:
        ConfigError: `mean` is less than 1.
    """

    def __init__(self, mean: float = 6.0):
        if mean < 1:
            raise ConfigError(f"an action must be held for at least 1 step on average, got {mean}")
        self.mean = mean

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        super().reset(num_actions, rng)
        self._steps_left = 0

    def __call__(self, frame: np.ndarray) -> int:
        if self._steps_left == 0:
            self._action = super().__call__(frame)
            self._steps_left = int(self._rng.geometric(1 / self.mean))
        self._steps_left -= 1
        return self._action


class EpsilonPolicy:
    """A policy that replaces a share of another policy's actions by random ones.

    Args:
        policy: The other policy. It sees every frame, including those where its action is replaced.
        epsilon: Probability of a random action, from 0 to 1. The paper's published code collects with 0.15.

    Raises:
        ConfigError: `epsilon` is out of range.
    """

    def __init__(self, policy: Policy, epsilon: float):
        if not 0 <= epsilon <= 1:
            raise ConfigError(f"epsilon must be from 0 to 1, got {epsilon}")
        self.policy, self.epsilon = policy, epsilon
        self.details = {**getattr(policy, "details", {}), "epsilon": epsilon}
        self.modules = getattr(policy, "modules", ())

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        if reset := getattr(self.policy, "reset", None):
            reset(num_actions, rng.spawn(1)[0])  # a stream of its own, the same for every epsilon
        self._num_actions, self._rng = num_actions, rng

    def __call__(self, frame: np.ndarray) -> int:
        action = self.policy(frame)
        return int(self._rng.integers(self._num_actions)) if self._rng.random() < self.epsilon else action


POLICIES: dict[str, type[RandomPolicy]] = {"random": RandomPolicy, "sticky": StickyPolicy}


def make_policy(policy: str | Policy, epsilon: float = 0.0) -> tuple[str, Policy]:
    """Return a policy and its name.

    Args:
        policy: A key of POLICIES, the path of a saved agent as AgentPolicy takes it, or a policy.
        epsilon: Probability with which an action is replaced by a random one; see EpsilonPolicy.

    Raises:
        ConfigError: The name is unknown, the object cannot be called, or `epsilon` is out of range.
    """
    found = _find(policy) if isinstance(policy, str) else policy
    if not callable(found):
        raise ConfigError(f"a policy must be a name or callable with a frame, got {type(policy).__name__}")
    name = policy if isinstance(policy, str) and policy in POLICIES else _name_of(found)
    if epsilon:
        return f"{name}-random{100 * epsilon:g}", EpsilonPolicy(found, epsilon)
    return name, found


def _find(name: str) -> Policy:
    if name in POLICIES:
        return POLICIES[name]()
    if names_path(name) or paths.is_file(Path(name) / AGENT):  # not any folder that has the name by chance
        return find_agent(name)
    raise ConfigError(
        f"unknown policy {name!r}; choose one of: {', '.join(POLICIES)}, or the path of an agent (as ./{name})"
    )


def _name_of(policy: Any) -> str:
    return str(getattr(policy, "name", None) or getattr(policy, "__name__", None) or type(policy).__name__)
