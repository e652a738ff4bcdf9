"""Savestates of running games, from which they go on: of stable-retro, ale-py and the toy game."""

from typing import Any, Protocol, runtime_checkable

import gymnasium as gym

__all__ = ["can_save", "restore", "save"]


@runtime_checkable
class _Saving(Protocol):
    """A game with savestates of its own."""

    def snapshot(self) -> Any: ...

    def restore(self, snapshot: Any) -> None: ...


def can_save(source: gym.Env) -> bool:
    """Return whether a game has savestates."""
    inner = source.unwrapped
    return isinstance(inner, _Saving) or hasattr(getattr(inner, "ale", None), "cloneState")


def save(source: gym.Env) -> Any:
    """Return the state of a game, which another process may restore in a game of its own."""
    inner: Any = source.unwrapped
    return inner.snapshot() if isinstance(inner, _Saving) else inner.ale.cloneState()


def restore(source: gym.Env, state: Any) -> None:
    """Let a game go on from a state: the same actions lead to the same frames."""
    inner: Any = source.unwrapped
    if isinstance(inner, _Saving):
        inner.restore(state)
    else:
        inner.ale.restoreState(state)
