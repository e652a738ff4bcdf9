"""Errors that a user can cause; each message says what was wrong, the value, and what to type next."""

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "GameError",
    "GenieGymError",
    "InvalidActionError",
    "MissingExtraError",
    "PromptError",
]


class GenieGymError(Exception):
    """Base of all errors raised on purpose; the command line prints its message as one line."""


class GameError(GenieGymError):
    """A game is unknown, its ROM is missing, or its emulator refused to start."""


class DataError(GenieGymError):
    """A dataset is missing, damaged, of another format, or cannot be written."""


class CheckpointError(GenieGymError):
    """A checkpoint is missing, incomplete, damaged, or was not made by genie_gym."""


class ConfigError(GenieGymError):
    """An option has a value outside its range, or two options contradict each other."""


class PromptError(GenieGymError, ValueError):
    """The frames or actions given to start a rollout have the wrong shape, type or range."""


class InvalidActionError(GenieGymError, ValueError):
    """An action lies outside the action space."""


class MissingExtraError(GenieGymError, ImportError):
    """An optional dependency is not installed; the message names the extra that contains it."""
