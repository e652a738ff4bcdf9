"""The settings a long run began with, kept beside it: it goes on only with the same ones."""

import json
from pathlib import Path
from typing import Any

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.files import write_aside

__all__ = ["read_notes", "same_settings"]


def same_settings(path: Path, settings: dict[str, Any]) -> None:
    """Writes the settings where there are none yet.

    Args:
        path: a JSON file in the run's folder.
        settings: plain JSON values. Those that the file does not have are not compared: a newer version brought them.

    Raises:
        ConfigError: the run was begun with others.
        CheckpointError: the file is damaged.
    """
    settings = json.loads(json.dumps(settings))  # tuples become lists, as they are in the file
    if not path.exists():
        write_aside(path, json.dumps(settings, indent=1).encode())
        return
    begun = read_notes(path)
    changed = [name for name, value in settings.items() if begun.get(name, value) != value]
    if changed:
        before, now = (", ".join(f"{name} {values[name]}" for name in changed) for values in (begun, settings))
        raise ConfigError(
            f"{path.parent} was begun with {before}, now asked for {now}; "
            "use the same settings to go on, or remove that folder to start again"
        )


def read_notes(path: Path) -> dict[str, Any]:
    """The content of a JSON file in a run's folder.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        notes = json.loads(path.read_text())
        if not isinstance(notes, dict):
            raise ValueError(f"it holds no settings, but {notes!r:.40}")
        return notes
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}); remove {path.parent} to start again") from error
