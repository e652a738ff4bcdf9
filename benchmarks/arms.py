"""Parts of a long benchmark, each made once and kept as soon as it is done, so that the same command goes on."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genie_gym.files import write_aside
from genie_gym.pipeline.figures import plain
from genie_gym.pipeline.settings import read_notes, same_settings

__all__ = ["Arms", "Figures", "Stopped"]

Figures = dict[str, Any]


class Stopped(Exception):
    """Ctrl-C; says during what."""


class Arms:
    """Makes arms, each once: it lies in a folder of its own below `work`, with arm.json when it is done.

    Args:
        work: folder of everything.
        settings: that all arms are made with, plain values.

    Attributes:
        used: names of the arms asked for so far, with the seconds that each took.
        shown: whether bars are drawn.

    Raises:
        ConfigError: the work folder was begun with other settings.
    """

    def __init__(self, work: Path, settings: Figures):
        self.work = work
        self.used: dict[str, float] = {}
        self.shown = sys.stderr.isatty()
        same_settings(work / "settings.json", settings)

    def arm(self, name: str, make: Callable[[Path], Figures]) -> tuple[Path, Figures]:
        """The arm's folder and what it found; `make` is given the folder, and goes on with what is in it.

        Other arms are asked for before, not within `make`, or their time would count twice.
        """
        folder = self.work / name
        notes = folder / "arm.json"
        known: Figures = read_notes(notes) if notes.is_file() else {"seconds": 0.0}
        if "found" not in known:
            print(name, flush=True)
            started = time.monotonic()
            try:
                known["found"] = plain(make(folder))
            finally:
                known["seconds"] = round(known["seconds"] + time.monotonic() - started, 1)
                write_aside(notes, json.dumps(known, indent=1).encode())
        self.used[name] = known["seconds"]
        return folder, known["found"]
