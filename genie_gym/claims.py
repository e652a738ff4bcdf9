"""A folder for one process at a time: two trainings in one would save over each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genie_gym.errors import ConfigError

__all__ = ["claimed"]


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keeps other processes' claims out of a folder; made if needed. A killed process claims nothing any more.

    Raises:
        ConfigError: another process has the folder.
    """
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"another process is training in {folder}; wait for its end, stop it, or choose another folder "
            "(--run of fit and refit, --out of explore)"
        ) from None
    except OSError:
        pass  # a disk without locks; or nothing can be written, and the first write says so better
    try:
        yield
    finally:
        lock.release()
