"""Writing a file so that a crash leaves the old content or the new, never half of it."""

import os
from pathlib import Path

from genie_gym.errors import DataError

__all__ = ["write_aside"]


def write_aside(path: Path, content: bytes) -> None:
    """Writes beside the file, flushes to disk, then renames over it; makes the folder if needed.

    Raises:
        DataError: the disk is full or the folder cannot be written; an older file is untouched.
    """
    aside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DataError(
            f"cannot write {path} ({error.strerror or error}); what was there before is untouched. "
            "Free some space or set GENIE_GYM_HOME to another disk, then run the same command again"
        ) from error
