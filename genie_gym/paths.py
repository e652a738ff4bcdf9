"""Where things are kept on the user's disk: ROMs, recordings and weights, all below one folder."""

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

OWN_NAMES = re.compile(r"[\w.-]+")  # of games one brings: they are names of folders and parts of Gymnasium ids


def home() -> Path:
    """The folder of everything: `$GENIE_GYM_HOME`, else `$XDG_DATA_HOME/genie_gym`, else `~/.local/share/genie_gym`."""
    if chosen := os.environ.get("GENIE_GYM_HOME"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "genie_gym"


def absolute(place: str | Path | None) -> str | None:
    """A folder that exists under its whole path, so that a run knows it again from elsewhere; else what was given, such
    as the id of a model on the hub."""
    if place is None:
        return None
    return str(Path(place).absolute()) if Path(place).exists() else str(place)


def roms_dir() -> Path:
    """Imported ROMs: one folder a game, as stable-retro lays out a custom integration."""
    return home() / "roms"


def data_dir(game: str) -> Path:
    """Recordings of one game (a folder of HDF5 shards)."""
    return home() / "data" / game


def weights_dir(game: str) -> Path:
    """The checkpoint folder of one game's world model."""
    return home() / "weights" / game


def agents_dir(game: str) -> Path:
    """Agents trained on one game, a folder each."""
    return home() / "agents" / game


def metrics_dir() -> Path:
    """Weights of networks that some metrics ask, as their publishers name them."""
    return home() / "metrics"


def own_name(title: str) -> str:
    """The name of a game that one brings oneself, from its title or that name.

    Raises:
        GameError: the title cannot be a part of a Gymnasium id.

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
