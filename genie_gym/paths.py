"""Where things are kept on the user's disk: ROMs, recordings and weights, all below one folder."""

import os
from pathlib import Path

__all__ = ["agents_dir", "data_dir", "home", "metrics_dir", "roms_dir", "weights_dir"]


def home() -> Path:
    """The folder of everything: `$GENIE_GYM_HOME`, else `$XDG_DATA_HOME/genie_gym`, else `~/.local/share/genie_gym`."""
    if chosen := os.environ.get("GENIE_GYM_HOME"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "genie_gym"


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
