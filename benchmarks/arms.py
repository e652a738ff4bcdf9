"""Parts of a long benchmark, each made once and kept as soon as it is done, so that the same command goes on."""

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine_facts

from genie_gym.errors import GenieGymError
from genie_gym.files import write_aside
from genie_gym.pipeline.figures import plain
from genie_gym.pipeline.settings import read_notes, same_settings

__all__ = ["Arms", "Figures", "Stopped", "command_line", "ended", "join_made", "made_with"]

Figures = dict[str, Any]
MADE = ("machines", "code", "torch")


class Stopped(Exception):
    """Ctrl-C; says during what."""


def ended(work: Callable[[], None]) -> int:
    """Does a script's work, and tells in one line what interrupted it or cannot be done; the exit status."""
    try:
        work()
    except (KeyboardInterrupt, Stopped) as stopped:
        print(f"stopped ({stopped}); the same command goes on from here", file=sys.stderr)
        return 130
    except GenieGymError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class Arms:
    """Makes arms, each once: it lies in a folder of its own below `work`, with arm.json when it is done.

    Args:
        work: folder of everything.
        settings: that all arms are made with, plain values.

    Attributes:
        used: the arms asked for so far, by name, with the seconds that each took.
        shown: whether bars are drawn.

    Raises:
        ConfigError: the work folder was begun with other settings.
    """

    def __init__(self, work: Path, settings: Figures):
        self.work = work
        self.used: dict[str, float] = {}
        self._made: list[Figures] = []
        self._here = machine_facts()
        self.shown = sys.stderr.isatty()
        same_settings(work / "settings.json", settings)

    def arm(self, name: str, make: Callable[[Path], Figures]) -> tuple[Path, Figures]:
        """The arm's folder and what it found; `make` is given the folder, and goes on with what is in it.

        Other arms are asked for before, not within `make`, or their time would count twice.
        """
        folder = self.work / name
        notes = folder / "arm.json"
        known: Figures = read_notes(notes) if notes.is_file() else {"seconds": 0.0, "made": []}
        if "found" not in known:
            print(name, flush=True)
            started = time.monotonic()
            known["made"].append(self._here)
            try:
                known["found"] = plain(make(folder))
            finally:
                known["seconds"] = round(known["seconds"] + time.monotonic() - started, 1)
                write_aside(notes, json.dumps(known, indent=1).encode())
        self.used[name] = known["seconds"]
        self._made += known["made"]
        return folder, known["found"]

    def made(self) -> Figures:
        """On which machines and by which code the arms asked for were made: not always one, since it can take days.

        Returns:
            JSON values: "machines", "code" and "torch", a list each, "from" and "to", ISO dates of their beginnings.
        """
        return join_made([_made(facts) for facts in self._made])


def join_made(parts: list[Figures]) -> Figures:
    """What several of `Arms.made` say together."""
    lists = {name: list(dict.fromkeys(one for part in parts for one in part[name])) for name in MADE}
    return lists | {"from": min(part["from"] for part in parts), "to": max(part["to"] for part in parts)}


def _made(facts: Figures) -> Figures:
    machine = f"{facts['gpu'] or facts['cpu']} ({facts['cores']} cores)"
    what = dict(zip(MADE, ([machine], [facts["code"]], [facts["torch"]]), strict=True))
    return what | {"from": facts["date"], "to": facts["date"]}


def command_line(script: str, game: str, options: Figures) -> str:
    """The command that makes the same again."""
    words = ["python", f"benchmarks/{script}", game, "--work", "FOLDER"]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


def made_with(facts: Figures) -> str:
    """What `made` found, "command" and "hours" among facts in a sentence."""
    made = facts["made"]
    dates = " to ".join(dict.fromkeys([made["from"], made["to"]]))
    places, code, torch = (", ".join(made[name]) for name in ("machines", "code", "torch"))
    return f"`{facts['command']}`, in {facts['hours']} hours, on {places}; {code}, torch {torch}, {dates}"
