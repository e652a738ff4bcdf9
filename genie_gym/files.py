"""Writing a file so that a crash leaves the old content or the new, never half of it."""

import errno
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from genie_gym.errors import DataError

__all__ = ["ASIDE", "sweep", "write_all_aside", "write_aside"]

ASIDE = ".*.aside"  # the names of files not yet complete, as a glob


def write_aside(path: Path, content: bytes) -> None:
    """Writes under another name, flushes to disk, then renames; makes the folder if needed.

    Several processes may write into one folder, even to one path: the last to finish wins.

    Raises:
        DataError: the disk is full or the folder cannot be written; what was there before is untouched.
    """
    write_all_aside({path: content})


def write_all_aside(contents: dict[Path, bytes]) -> None:
    """`write_aside` for files that belong together: none is replaced before all of them are on the disk.

    Raises:
        DataError: the disk is full or a folder cannot be written; what was there before is untouched.
    """
    asides = {path: path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.aside") for path in contents}
    path = Path()
    try:
        for path, aside in asides.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
        for path, aside in asides.items():
            aside.replace(path)
    except OSError as error:
        for aside in asides.values():
            with suppress(OSError):
                aside.unlink()
        raise DataError(_explain(path, len(contents[path]), error)) from error


def sweep(folder: Path) -> None:
    """Deletes what killed writers left half written; for a folder that nobody else is writing to."""
    for aside in folder.glob(ASIDE):
        with suppress(OSError):
            aside.unlink()


def _explain(path: Path, size: int, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        folder = next(place for place in path.absolute().parents if place.exists())
        free = shutil.disk_usage(folder).free
        return (
            f"no room for {path.name} ({size:,} bytes; {error.strerror}): {free:,} bytes free in {folder}; "
            "what was there before is intact: free some space or set GENIE_GYM_HOME to another disk, then run it again"
        )
    reason = error.strerror or error
    return f"cannot write {path}: {reason}; check the permissions of {path.parent}, or give another folder"
