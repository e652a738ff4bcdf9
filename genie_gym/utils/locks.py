"""Locks between processes: two trainings in one folder would overwrite each other's files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genie_gym.errors import ConfigError

__all__ = ["run_lock", "short_lock"]

WAIT_SECONDS = 60  # for what takes milliseconds
DYING_SECONDS = 3.0  # a process that was killed, and what it had started, may hold a lock for a moment more


@contextmanager
def short_lock(path: Path) -> Iterator[None]:
    """Hold a lock while a file is read, changed and written, waiting for other processes that do the same.

    The lock of a killed process is released. Where the disk has no locks, or cannot be written, there is none.

    Args:
        path: The file that is locked, made if needed.

    Raises:
        ConfigError: Another process holds the lock for a minute.
    """
    lock = FileLock(path, timeout=WAIT_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=0.01)
    except Timeout:
        raise ConfigError(f"another process holds {path}; stop it, or if it has stopped remove that file") from None
    except OSError:
        pass
    try:
        yield
    finally:
        lock.release()


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if needed. The lock of a killed process is released, and waited for.

    Raises:
        ConfigError: Another process holds the lock, and still does after `DYING_SECONDS`.
    """
    lock = FileLock(folder / ".lock", timeout=DYING_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=0.05)
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
