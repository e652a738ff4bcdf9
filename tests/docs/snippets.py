"""Python blocks and commands of Markdown pages, and checking a command without running it."""

import functools
import importlib
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from genie_gym.cli import data, judge

program: Any = importlib.import_module("genie_gym.cli.main")  # the package offers its function under the same name

__all__ = ["blocks", "commands", "parse_command"]


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Every `genie-gym` line of the bash blocks, wherever the program lies; a backslash continues a line."""
    whole = [line for block in blocks(text, "bash") for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    lines = [part.strip() for line in whole for part in line.split("&&")]
    return [line[line.index("genie-gym") :] for line in lines if re.match(r"(\S*/)?genie-gym ", line)]


def parse_command(line: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The function that the command line would call, with every argument understood; it is not run."""
    called: list[str] = []
    monkeypatch.setattr(program, "COMMANDS", tuple(_noted(command, called) for command in program.COMMANDS))
    for module, name in ((data, "import_roms"), (judge, "run_study"), (judge, "study_results")):
        monkeypatch.setattr(module, name, _noted(getattr(module, name), called))
    words = shlex.split(line.partition(" > ")[0])  # what a file takes is the shell's matter
    assert program.main(words[1:]) == 0, line
    (name,) = called
    return name


def _noted(command: Callable[..., Any], called: list[str]) -> Callable[..., int]:
    """A command of the same signature that only says it was called."""

    @functools.wraps(command)
    def note(*args: object, **options: object) -> int:
        called.append(command.__name__)
        return 0

    return note
