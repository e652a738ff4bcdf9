"""A query of RetroAct: which of the annotated games to choose."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError
from genie_gym.games.retroact.table import BUTTONS, Annotation
from genie_gym.utils.validation import at_least, check_types, short

__all__ = ["ATTRIBUTES", "SETS", "GameQuery"]

SETS = ("platformers-200", "platformers-50")
ATTRIBUTES = ("genre", "view", "motion", "camera", "platform")


@dataclass(frozen=True)
class GameQuery:
    """Which games of RetroAct's table to choose; all of them by default.

    Attributes:
        set: A set of the paper: platformers-200 (the first 200 platformers of the table) or platformers-50 (50 games
            whose actions correspond). What else is asked for is applied to its games.
        file: A table in RetroAct's format; by default the fetched one, or else our own of games that run here.
        list: A CSV file with a column game: choose among these only.
        own: Use our own table of games that run here, even if the published one is there.
        genre: One or more genres: pl (platformers), space_shooter, fight, maze, ...
        view: One or more views: side, top, 3p, 1p.
        motion: One or more kinds of motion of the player: free, h, v, fixed.
        camera: One or more directions in which the camera moves by itself: none, right, up, ...
        platform: One or more systems: Nes, Genesis, Ale, Procgen, ...
        action: Effects of buttons that all must hold, such as PRIMARY=jump or DOWN=none|crouch; the buttons are RIGHT,
            LEFT, UP, DOWN, PRIMARY and SECONDARY.
        not_blinking: Leave out games whose sprites flicker.
        not_delayed: Leave out games in which the player gains control only after a while.
        limit: Choose the first so many.
    """

    set: str | None = None
    file: Path | None = None
    list: Path | None = None
    own: bool = False
    genre: tuple[str, ...] = ()
    view: tuple[str, ...] = ()
    motion: tuple[str, ...] = ()
    camera: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    not_blinking: bool = False
    not_delayed: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for name in (*ATTRIBUTES, "action"):
            object.__setattr__(self, name, _words(name, getattr(self, name)))
        if self.set is not None and self.set.lower() not in SETS:
            raise ConfigError(f"unknown set {short(self.set)}; choose one of: {', '.join(SETS)}")
        if self.own and (self.file or self.set):
            raise ConfigError("own is a table of its own; leave out own, or file and set")
        at_least(1, limit=self.limit)
        for condition in self.action:
            _condition(condition)

    def choose(self, annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
        """Return the annotations that fit, in their order; `set`, `file`, `list` and `own` do not matter here.

        Raises:
            ConfigError: No annotation has a value that was asked for; the message lists those that there are.
        """
        rows = tuple(annotations)
        wanted = {name: self._known(name, rows) for name in ATTRIBUTES if getattr(self, name)}
        conditions = [_condition(text) for text in self.action]
        chosen = [
            row
            for row in rows
            if all(getattr(row, name).lower() in values for name, values in wanted.items())
            and all(_words_of(row.effects[button]) in effects for button, effects in conditions)
            and not (row.blinking and self.not_blinking)
            and not (row.delayed and self.not_delayed)
        ]
        return tuple(chosen[: self.limit])

    def _known(self, name: str, rows: tuple[Annotation, ...]) -> frozenset[str]:
        """Return the values asked for of an attribute in small letters, all of which occur."""
        known = sorted({getattr(row, name) for row in rows})
        for value in getattr(self, name):
            if value.lower() not in map(str.lower, known):
                raise ConfigError(f"no game of the table has {name} {short(value)}; there are: {', '.join(known)}")
        return frozenset(value.lower() for value in getattr(self, name))


def _words(name: str, value: object) -> tuple[str, ...]:
    """Return one word or several as a tuple."""
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, tuple | list) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{name} must be one word or several; got {short(value)}")
    return tuple(words)


def _condition(text: str) -> tuple[str, frozenset[frozenset[str]]]:
    """Return the button of a condition such as PRIMARY=jump, and its effects, one of which must hold."""
    button, equals, effects = text.partition("=")
    button = button.strip().upper()
    button = f"ACTION_{button}" if button in ("PRIMARY", "SECONDARY") else button
    if button not in BUTTONS or not equals or not effects.strip():
        buttons = ", ".join(name.removeprefix("ACTION_") for name in BUTTONS)
        raise ConfigError(f"an action is BUTTON=EFFECT, such as PRIMARY=jump, with {buttons}; got {short(text)}")
    return button, frozenset(_words_of(effect) for effect in effects.split("|"))


def _words_of(effect: str) -> frozenset[str]:
    """Return the words of an effect: "crouch look-d" is the same as "look-d crouch"."""
    return frozenset(effect.lower().split())
