"""Errors that a user can cause; each message says what was wrong, the value, and what to type next."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from gymnasium.error import ClosedEnvironmentError

__all__ = [
    "CheckpointError",
    "ClosedError",
    "ConfigError",
    "DataError",
    "GameError",
    "GenieGymError",
    "InvalidActionError",
    "MissingExtraError",
    "PromptError",
    "StateError",
    "failing_softly",
    "first_line",
    "printable",
]


def printable(text: object) -> str:
    r"""Return a text as it may be shown: characters that steer a terminal are written as escapes.

    >>> printable("frame\x1b[2J\u202egnp")
    'frame\\x1b[2J\\u202egnp'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in str(text)
    )


class GenieGymError(Exception):
    """Base of all errors raised on purpose; the command line prints its message as one line.

    Whatever the message quotes, such as a name from a stranger's file, it has printable characters only.
    """

    def __str__(self) -> str:
        return printable(" ".join(super().__str__().splitlines()))


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


class StateError(GenieGymError, ValueError):
    """A kept state is damaged, of another model, or of another number of dreams."""


class InvalidActionError(GenieGymError, ValueError):
    """An action lies outside the action space."""


class ClosedError(GenieGymError, ClosedEnvironmentError):
    """An environment is used after `close()`."""


class MissingExtraError(GenieGymError, ImportError):
    """An optional dependency is not installed; the message names the extra that contains it."""


@contextmanager
def failing_softly(what: str) -> Iterator[None]:
    """Turn any error of an extra at the end of long work, such as a film or a report, into a warning.

    Save the work before. Ctrl-C is no error.

    Args:
        what: What is attempted, for the warning.
    """
    try:
        yield
    except Exception as error:  # whatever it is, the work is done and saved
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn(f"{what} failed and is left out ({reason}); everything else is done and saved", stacklevel=3)


def first_line(error: BaseException) -> str:
    """Return the first line of an error that says something, at most 300 characters, all of them printable."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return "".join(letter if letter.isprintable() else "?" for letter in lines[0])[:300]
