"""One display for all long work: a bar on a terminal; in a file, a pipe or a notebook's log a line each ten seconds."""

import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing import parent_process
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ProgressDisplay", "tracked"]

SECONDS_BETWEEN_LINES = 10

Item = TypeVar("Item")


class ProgressDisplay:
    """Context manager around long work. It writes to stderr, so that stdout has results alone.

    Work that is part of other work that is shown, and that of worker processes, shows nothing.

    Args:
        title: What is done, in a few words.
        total: Units of work in all; None if that is not known.
        completed: Units that are done already, by an earlier call.
        unit: Name of a unit, such as "steps".
        shown: Whether anything is shown at all.
    """

    _shows: "ProgressDisplay | None" = None  # the one of this process that is shown now

    def __init__(self, title: str, total: int | None, completed: int = 0, *, unit: str = "", shown: bool = True):
        self._title, self._total, self._unit, self._shown = title, total, unit, shown
        self._first, self._completed, self._note = completed, completed, ""
        self._started = self._printed = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "ProgressDisplay":
        self._started = self._printed = time.monotonic()
        self._shown = self._shown and ProgressDisplay._shows is None and parent_process() is None
        console = Console(stderr=True)
        if self._shown:
            ProgressDisplay._shows = self
        if self._shown and console.is_terminal:
            self._bar = _bar(console)
            self._task = self._bar.add_task(
                self._title, total=self._total, completed=self._completed, text=self._text()
            )
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if ProgressDisplay._shows is self:
            ProgressDisplay._shows = None
        if self._bar is not None:
            self._bar.stop()

    def update(self, completed: int, note: str | None = None) -> None:
        """Show how much is done by now, and a note about it; the last one by default."""
        self._completed, self._note = completed, self._note if note is None else note
        if self._bar is not None:
            self._bar.update(self._task, completed=completed, text=self._text())
        elif self._shown and time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def advance(self, units: int = 1) -> None:
        """Show that more is done."""
        self.update(self._completed + units)

    def _text(self) -> str:
        """What is done of how much, and the note."""
        total = f" of {self._total:,}" if self._total else ""
        return f"{self._completed:,}{total}{self._unit and f' {self._unit}'}{self._note and f', {self._note}'}"

    def _line(self) -> str:
        done, line = self._completed - self._first, f"{self._title}: {self._text()}"
        if not self._total or done <= 0:
            return line
        seconds, share = time.monotonic() - self._started, min(self._completed / self._total, 1)
        return f"{line}, {share:.0%}, about {_duration((self._total - self._completed) * seconds / done)} left"


def tracked(items: Iterable[Item], title: str, total: int | None = None, *, unit: str = "") -> Iterator[Item]:
    """Yield the items of long work, and show how many are done; arguments are those of `ProgressDisplay`.

    Of a single item there is nothing to show.
    """
    with ProgressDisplay(title, total, unit=unit, shown=total != 1) as display:
        for item in items:
            yield item
            display.advance()


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _duration(seconds: float) -> str:
    seconds = max(seconds, 0)
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
