"""Which code made something: the package's version, and the commit where it runs from a checkout."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["code_version", "package_version"]


def package_version() -> str:
    """Return the version of the installed package, "not installed" where it runs from a bare checkout."""
    try:
        return version("genie_gym")
    except PackageNotFoundError:
        return "not installed"


def code_version() -> str:
    """Return version and commit, for example "0.1.0 (commit 1a2b3c4)"; "changed" marks uncommitted changes."""
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return package_version()
    return f"{package_version()} (commit {commit}{', changed' if _git('status', '--porcelain', '-uno') else ''})"


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    try:
        if not (here.parents[1] / ".git").exists():  # installed inside somebody else's checkout
            return ""
        # Without optional locks: `status` writes the index, and a kill meanwhile leaves an index.lock to the user.
        command = ["git", "--no-optional-locks", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
