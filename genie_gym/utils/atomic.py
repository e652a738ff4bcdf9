"""Atomic writes: a crash leaves the old content of a file or the new one, never half of it."""

import errno
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from genie_gym.errors import DataError
from genie_gym.utils.paths import exists

__all__ = ["PARTIAL_FILES", "atomic_write", "atomic_write_all", "check_writable", "remove_partial_files"]

PARTIAL_FILES = ".*.partial"  # glob of the names of files that are not yet complete


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to disk, then rename it; make the folder if needed.

    Several processes may write into one folder, even to one path: the last to finish wins.

    Raises:
        DataError: The disk is full or the folder cannot be written; what was there before is untouched.
    """
    atomic_write_all({path: content})


def atomic_write_all(contents: dict[Path, bytes]) -> None:
    """Write files that belong together: none is replaced before all of them are on the disk.

    Args:
        contents: Content of each path, in the order in which the files are replaced.

    Raises:
        DataError: The disk is full or a folder cannot be written; what was there before is untouched.
    """
    partial = {path: path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial") for path in contents}
    path = Path()
    try:
        for path, temporary in partial.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in partial.items():
            temporary.replace(path)
    except OSError as error:
        for temporary in partial.values():
            with suppress(OSError):
                temporary.unlink()
        raise DataError(_write_error(path, len(contents[path]), error)) from error


def check_writable(folder: Path, size: int = 0) -> None:
    """Write to a folder for a moment, so that one that cannot be written is known before long work; nothing is left.

    Args:
        folder: The folder, which need not exist yet.
        size: Bytes that the work is going to write there.

    Raises:
        DataError: It cannot be written, or the disk has less room.
    """
    probe = folder / f".{uuid.uuid4().hex[:8]}.partial"
    missing = [place for place in (folder, *folder.parents) if not exists(place)]
    atomic_write(probe, b"")
    free = shutil.disk_usage(folder).free
    with suppress(OSError):
        probe.unlink()
        for place in missing:
            place.rmdir()
    if free < size:
        raise DataError(
            f"{folder} needs about {_in_units(size)}, and its disk has {_in_units(free)} free; free some space, or set "
            "GENIE_GYM_HOME to another disk"
        )


def _in_units(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def remove_partial_files(folder: Path) -> None:
    """Delete the incomplete files of killed writers, from a folder that no other process is writing to."""
    for file in folder.glob(PARTIAL_FILES):
        with suppress(OSError):
            file.unlink()


def _write_error(path: Path, size: int, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        folder = next(place for place in path.absolute().parents if place.exists())
        free = shutil.disk_usage(folder).free
        return (
            f"no room for {path.name} ({size:,} bytes; {error.strerror}): {free:,} bytes free in {folder}; "
            "what was there before is intact: free some space or set GENIE_GYM_HOME to another disk, then run it again"
        )
    reason = error.strerror or error
    return f"cannot write {path}: {reason}; check the permissions of {path.parent}, or give another folder"
