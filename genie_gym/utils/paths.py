"""Folders on the user's disk: ROMs, datasets, weights and agents, all below one folder; and what is a file at all."""

import errno
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from genie_gym.errors import ConfigError, GameError, printable
from genie_gym.utils.validation import is_name

__all__ = [
    "OWN_NAMES",
    "absolute",
    "agents_dir",
    "data_dir",
    "exists",
    "file_size",
    "has_home",
    "home",
    "is_file",
    "is_folder",
    "metrics_dir",
    "open_regular",
    "own_name",
    "read_regular",
    "roms_dir",
    "weights_dir",
]

OWN_NAMES = re.compile(r"[\w.-]+")  # of games of your own: names of folders and parts of Gymnasium ids


def home() -> Path:
    """Return the data folder: `$GENIE_GYM_HOME`, `$XDG_DATA_HOME/genie_gym` or `~/.local/share/genie_gym`.

    Raises:
        ConfigError: None is set, and the user has no home folder, as in some containers.
    """
    try:
        if chosen := os.environ.get("GENIE_GYM_HOME"):
            return Path(chosen).expanduser()
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError as error:  # no HOME, and the user is not in the list of users
        raise ConfigError(
            "there is no home folder to keep recordings and weights in; set GENIE_GYM_HOME to a folder that exists"
        ) from error
    return Path(base) / "genie_gym"


def has_home() -> bool:
    """Return whether there is a data folder; what ships with genie_gym works without one."""
    try:
        home()
    except ConfigError:
        return False
    return True


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
    return _of_game("data", game)


def weights_dir(game: str) -> Path:
    """Return the checkpoint folder of a game's world model."""
    return _of_game("weights", game)


def agents_dir(game: str) -> Path:
    """Return the folder of the agents trained on a game, one folder each."""
    return _of_game("agents", game)


def metrics_dir() -> Path:
    """Return the folder of pretrained weights that some metrics need, under their publishers' file names."""
    return home() / "metrics"


def _of_game(kind: str, game: str) -> Path:
    """Return a game's folder of one kind, or the folder of all games if the name is empty.

    Raises:
        GameError: The name, which may come from a stranger's file, would lead elsewhere.
    """
    if game and not is_name(game):
        raise GameError(f"{printable(game)!r} is no name of a game: letters, digits, '_', '.' and '-' make one.")
    return home() / kind / game


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


def exists(path: str | Path) -> bool:
    """Return whether anything is there; False for links that go round, and for names that no file system takes."""
    return _mode(path) != 0


def is_file(path: str | Path) -> bool:
    """Return whether a regular file is there, no pipe or device; False as in `exists`."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | Path) -> bool:
    """Return whether a folder is there; False as in `exists`."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: str | Path) -> int:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 (a ValueError for a zero byte)
    except (OSError, ValueError):
        return 0


def file_size(path: str | Path) -> int:
    """Return the size of a file in bytes, having made sure that it is one: reading a pipe or a device may never end.

    Raises:
        OSError: There is no such file, or it is a folder, a pipe, a socket or a device.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 (a ValueError for a zero byte)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"is no path ({error})", str(path)) from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or device"
        raise OSError(errno.EINVAL, f"is {kind}, not a file", str(path))
    return found.st_size


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading, but no pipe and no device, as `file_size`.

    Raises:
        OSError: There is no such file, it cannot be read, or it is something else than a file.
    """
    file_size(path)
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (pathlib has no opener)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it has become a pipe since it was looked at
        file.close()
        raise OSError(errno.EINVAL, "is a pipe or device, not a file", str(path))
    return file


def read_regular(path: str | Path, at_most: int) -> bytes:
    """Return the content of a file, as `open_regular`, of at most so many bytes.

    Raises:
        OSError: There is no such file, it cannot be read, is something else than a file, or has more bytes.
    """
    with open_regular(path) as file:
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise OSError(errno.EINVAL, f"has more than {at_most:,} bytes", str(path))
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
