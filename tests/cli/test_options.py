"""Every option of a command is a field of one dataclass, and its help is written once, in that class's docstring."""

import contextlib
import inspect
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import get_type_hints

import pytest

from genie_gym.cli.main import COMMANDS, main

PLAIN = {"games"}  # so short that its options are parameters of the command itself


@dataclass(frozen=True)
class Option:
    """A field of a configuration, the class that defines it, and the help in that class's docstring."""

    name: str
    owner: type
    help: str


def config_of(command) -> type:
    (parameter,) = inspect.signature(command).parameters
    return get_type_hints(command)[parameter]


def options_of(config: type) -> Iterator[Option]:
    hints = get_type_hints(config)
    for field in fields(config):
        if is_dataclass(hints[field.name]):
            yield from options_of(hints[field.name])
            continue
        owners = [base for base in config.__mro__ if described(base, field.name)]
        assert owners, f"{config.__name__}.{field.name} has no help"
        assert len({described(base, field.name) for base in owners}) == 1, f"{field.name} is explained twice"
        yield Option(field.name, owners[-1], described(owners[-1], field.name))


def described(owner: type, name: str) -> str:
    """The help of a field in a class's own docstring; empty if there is none."""
    text = inspect.cleandoc(owner.__dict__.get("__doc__") or "")
    found = re.search(rf"^    {name}: (.+?)(?=^    \w+: |^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""


def help_of(command) -> str:
    name = command.__name__.replace("_", "-")
    with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
        main([name, "--help"])
    return shown.getvalue()


def words(text: str) -> str:
    """Letters and digits alone: the frames and line ends of the help page do not matter."""
    return "".join(re.findall(r"\w+", text))


COMMANDS_WITH_CONFIG = [command for command in COMMANDS if command.__name__ not in PLAIN]


@pytest.mark.parametrize("command", COMMANDS_WITH_CONFIG, ids=lambda command: command.__name__)
def test_the_help_of_every_option_is_that_of_its_field(command):
    options, shown = list(options_of(config_of(command))), help_of(command)
    for option in options:
        assert words(option.help) in words(shown), option
    flags = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", shown)) - {"help"}
    mentioned = {flag for option in options for flag in re.findall(r"--([a-z][a-z-]*)", option.help)}
    assert flags - mentioned <= {option.name.replace("_", "-") for option in options}


def test_no_option_is_defined_twice():
    """Two commands may share an option only if they inherit it, or if it means something else: same help, same
    class."""
    owners: dict[tuple[str, str], set[type]] = {}
    for command in COMMANDS_WITH_CONFIG:
        for option in options_of(config_of(command)):
            owners.setdefault((option.name, option.help), set()).add(option.owner)
    shared = {name: classes for (name, help), classes in owners.items() if len(classes) > 1 and len(help) > 60}
    assert shared == {}
