"""Locks on the folders of runs: two trainings in one folder would overwrite each other's files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genie_gym.errors import ConfigError

__all__ = ["run_lock"]


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if needed. The lock of a killed process is released.

    Raises:
        ConfigError: Another process holds the lock.
    """
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"another process is training in {folder}; wait for its end, stop it, or choose another folder "
            "(--run of train and refit, --out of explore)"
        ) from None
    except OSError:
        pass  # the disk has no locks; or it cannot be written, which the first write reports better
    try:
        yield
    finally:
        lock.release()
