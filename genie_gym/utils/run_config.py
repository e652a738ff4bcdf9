"""The settings of a resumable run, kept in its folder: it is resumed with the same ones only."""

import json
import reprlib
from pathlib import Path
from typing import Any

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import read_json

__all__ = ["check_run_config", "read_run_file"]


def check_run_config(path: Path, settings: dict[str, Any], *may_grow: str) -> bool:
    """Write the settings of a new run, or compare them with those of the run that is resumed.

    Args:
        path: A JSON file in the run's folder.
        settings: Plain JSON values. Settings that the file does not have are not compared: a newer version added them.
        may_grow: Names of numbers that may be larger than before, or be given where they were None; they are then
            written.

    Returns:
        Whether one of those numbers has grown.

    Raises:
        ConfigError: The run was started with other settings.
        CheckpointError: The file is damaged.
    """
    settings = json.loads(json.dumps(settings))  # tuples become lists, as they are in the file
    if not path.exists():
        atomic_write(path, json.dumps(settings, indent=1).encode())
        return False
    recorded = read_run_file(path)
    grown = {name: settings[name] for name in may_grow if _has_grown(recorded.get(name), settings[name])}
    shown = reprlib.Repr()  # the file may be anybody's: short, and nothing that a terminal obeys
    shown.maxstring = shown.maxother = 200
    changed = [name for name, value in settings.items() if name not in grown and recorded.get(name, value) != value]
    if changed:
        before, now = (
            ", ".join(f"{name} {shown.repr(values[name])}" for name in changed) for values in (recorded, settings)
        )
        higher = " and ".join(name for name in may_grow if name in changed)
        raise ConfigError(
            f"{path.parent} was started with {before}, now asked for {now}; "
            f"use the same settings to resume it{f' ({higher} may be raised)' if higher else ''}, or "
            "remove that folder to start again"
        )
    if grown:
        atomic_write(path, json.dumps(recorded | grown, indent=1).encode())
    return bool(grown)


def _has_grown(before: Any, now: float | None) -> bool:
    """Whether a number is larger than before; None is smaller than any, and what is no number is not compared."""
    if now is None or not isinstance(before, int | float | None):
        return False
    return before is None or now > before


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file in a run's folder.

    Raises:
        CheckpointError: The file is damaged.
    """
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError(f"it holds no settings, but {reprlib.repr(content)}")
        return content
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}); remove {path.parent} to start again") from error
