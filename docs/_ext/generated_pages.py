"""Writes the pages that repeat what the code says: command line, Python API and the table of worlds that ship."""

import contextlib
import importlib
import io
import json
import os
import pkgutil
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import genie_gym
from genie_gym.cli.main import main

WIDTH = "100"  # of the command line's help, in characters


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", escape_markup, priority=400)  # before Napoleon
    return {"version": "1", "parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write all generated pages below `_generated`."""
    folder = Path(app.srcdir) / "_generated"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "api").mkdir(parents=True)
    (folder / "cli.inc.md").write_text(cli_page())
    (folder / "worlds.inc.md").write_text(worlds_table())
    (folder / "public.inc.md").write_text(public_table())
    for room, modules in rooms().items():
        (folder / "api" / f"{room}.md").write_text(room_page(room, modules))


def escape_markup(app: Sphinx, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Take `*`, `|` and a trailing `_` outside of backticks for themselves: docstrings here are plain text."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = [re.sub(r"(?<!\\)(\*|\||(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
            lines[number] = "".join(parts)


# -- Command line ------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """The help of every command, one section each."""
    return "\n\n".join(f"## `genie-gym {' '.join(words)}`\n\n```text\n{text}\n```" for words, text in all_helps())


def all_helps(words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Commands without subcommands, as words, and their help."""
    text = help_text(words)
    usage = re.search(r"\{([\w,-]+)\}\s*$", re.sub(r"\s+", " ", text.split("\n\n")[0]))
    if usage is None or "subcommands" not in text:
        yield words, text
        return
    for name in usage.group(1).split(","):
        yield from all_helps((*words, name))


def help_text(words: tuple[str, ...]) -> str:
    """What `genie-gym WORDS --help` prints."""
    said, before = io.StringIO(), dict(os.environ)
    os.environ.update(COLUMNS=WIDTH, NO_COLOR="1", TERM="dumb")
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main([*words, "--help"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


# -- Python API --------------------------------------------------------------------------------------------------


def rooms() -> dict[str, list[ModuleType]]:
    """Modules with public names, by the subpackage they lie in; those at the top belong to the room `genie_gym`."""
    found: dict[str, list[ModuleType]] = {}
    for info in pkgutil.walk_packages(genie_gym.__path__, "genie_gym."):
        parts = info.name.split(".")
        if info.ispkg or parts[1] in ("cli", "__main__"):
            continue
        module = importlib.import_module(info.name)
        if public_names(module):
            found.setdefault(parts[1] if len(parts) > 2 else "genie_gym", []).append(module)
    return found


def public_names(module: ModuleType) -> list[str]:
    """Classes and functions that a module defines and names in `__all__`."""
    named = [name for name in getattr(module, "__all__", []) if callable(getattr(module, name))]
    return [name for name in named if getattr(getattr(module, name), "__module__", None) == module.__name__]


def room_page(room: str, modules: list[ModuleType]) -> str:
    """Every public name of one room."""
    title = "genie_gym" if room == "genie_gym" else f"genie_gym.{room}"
    return "\n\n".join([f"# {title}", *(module_section(module) for module in modules)]) + "\n"


def module_section(module: ModuleType) -> str:
    """Heading, first sentence and public names of one module."""
    about = " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())
    entries = "\n".join(entry(module, name) for name in public_names(module))
    return f"## {module.__name__}\n\n{about}\n\n```{{eval-rst}}\n{entries}```"


def entry(module: ModuleType, name: str) -> str:
    """The autodoc directive of one name."""
    kind = "autoclass" if isinstance(getattr(module, name), type) else "autofunction"
    members = "   :members:\n   :show-inheritance:\n" if kind == "autoclass" else ""
    return f".. {kind}:: {module.__name__}.{name}\n{members}"


def public_table() -> str:
    """Names that `import genie_gym` offers, each with the first sentence about it."""
    lines = ["| name | what |", "|---|---|"]
    for name in getattr(genie_gym, "__all__", []):
        value = getattr(genie_gym, name)
        if callable(value):
            about = " ".join((value.__doc__ or "").strip().split("\n\n")[0].split()).replace("|", r"\|")
            parts = value.__module__.split(".")
            room = parts[1] if len(parts) > 2 else "genie_gym"
            lines.append(f"| [`{name}`](_generated/api/{room}.md) | {about} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else "\n"


# -- Worlds that ship --------------------------------------------------------------------------------------------


def worlds_table() -> str:
    """One row for each checkpoint inside the package."""
    lines = ["| id | actions | preset | parameters | upscaler | trained on |", "|---|---|---|---:|---|---|"]
    for path in sorted((Path(genie_gym.__file__).parent / "weights").glob("*/config.json")):
        lines.append(world_row(path.parent, json.loads(path.read_text())))
    return "\n".join(lines) + "\n"


def world_row(folder: Path, config: dict[str, Any]) -> str:
    """What one checkpoint is."""
    made = config["metadata"]
    actions = ", ".join(action["meaning"] for action in config["game"]["actions"])
    upscaler = "256x256" if "upscaler" in config["parts"] else "no"
    return (
        f"| `GenieRedux/{config['game']['title']}-v0` | {actions} | {made.get('preset', 'unknown')} | "
        f"{parameters(folder / config['parts']['model']['file'])} | {upscaler} | {describe_data(made.get('data'))} |"
    )


def parameters(path: Path) -> str:
    """How many weights a file holds, in millions."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        counts = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    total = sum(_product(shape) for shape in counts)
    return f"{total / 1e6:.1f} M"


def describe_data(data: Any) -> str:
    """The data a model was trained on, in words."""
    if isinstance(data, str):
        return data
    parts = [", ".join(f"{name} {value}" for name, value in entry.items() if value is not None) for entry in data or []]
    return "; ".join(parts) or "unknown"


def _product(shape: list[int]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
