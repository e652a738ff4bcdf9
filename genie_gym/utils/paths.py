"""Folders on the user's disk: ROMs, datasets, weights and agents, all below one folder."""

import os
import re
from pathlib import Path

from genie_gym.errors import GameError

__all__ = [
    "OWN_NAMES",
    "absolute",
    "agents_dir",
    "data_dir",
    "home",
    "metrics_dir",
    "own_name",
    "roms_dir",
    "weights_dir",
]

OWN_NAMES = re.compile(r"[\w.-]+")  # of games of your own: names of folders and parts of Gymnasium ids


def home() -> Path:
    """Return the data folder: `$GENIE_GYM_HOME`, `$XDG_DATA_HOME/genie_gym` or `~/.local/share/genie_gym`."""
    if chosen := os.environ.get("GENIE_GYM_HOME"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "genie_gym"


def absolute(place: str | Path | None) -> str | None:
    """Return the absolute path of a folder that exists, so that a run started elsewhere recognises it.

    Anything else, such as the id of a model on the hub, is returned as it is.
    """
    if place is None:
        return None
    return str(Path(place).absolute()) if Path(place).exists() else str(place)


def roms_dir() -> Path:
    """Return the folder of imported ROMs: one folder per game, laid out as a custom integration of stable-retro."""
    return home() / "roms"


def data_dir(game: str) -> Path:
    """Return the folder of a game's dataset (HDF5 shards)."""
    return home() / "data" / game


def weights_dir(game: str) -> Path:
    """Return the checkpoint folder of a game's world model."""
    return home() / "weights" / game


def agents_dir(game: str) -> Path:
    """Return the folder of the agents trained on a game, one folder each."""
    return home() / "agents" / game


def metrics_dir() -> Path:
    """Return the folder of pretrained weights that some metrics need, under their publishers' file names."""
    return home() / "metrics"


def own_name(title: str) -> str:
    """Return the name of a game of your own, from its title or that name.

    Raises:
        GameError: The title cannot be part of a Gymnasium id.

    >>> own_name("Pinball"), own_name("Pinball-Own")
    ('Pinball-Own', 'Pinball-Own')
    """
    title = title.removesuffix("-Own")
    if not OWN_NAMES.fullmatch(title):
        cleaned = re.sub(r"[^\w.-]+", "", title) or "My"
        raise GameError(
            f"A game's name has letters, digits, '_', '.' and '-' only. Received {title!r}; try {cleaned!r}."
        )
    return f"{title}-Own"
