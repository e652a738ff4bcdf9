"""Which code made something: the package's version, and the commit where it runs from a checkout."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["code_version"]


def code_version() -> str:
    """For example "0.1.0 (commit 1a2b3c4)"; "(changed)" follows a commit that does not tell the whole story."""
    try:
        number = version("genie_gym")
    except PackageNotFoundError:
        number = "not installed"
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return number
    return f"{number} (commit {commit}{', changed' if _git('status', '--porcelain', '-uno') else ''})"


def _git(*words: str) -> str:
    here = Path(__file__).parent
    try:
        if not (here.parents[1] / ".git").exists():  # installed inside somebody else's checkout
            return ""
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
