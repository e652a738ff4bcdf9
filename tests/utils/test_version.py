"""The commit that a result names, asked of git without writing anything into the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genie_gym.utils import version


def git(folder: Path, *words: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(
        ["git", *settings, "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout


def test_the_commit_is_named_and_the_index_left_alone(tmp_path):
    """A `status` that refreshes the index holds a lock on it, which stays when the process is killed."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "genie_gym" / "utils"
    package.mkdir(parents=True)
    shutil.copy(version.__file__, package / "version.py")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    os.utime(package / "version.py", (0, 0))  # git would look at it again and note that it is the same
    before = (tmp_path / ".git" / "index").read_bytes()

    def said() -> str:
        program = "from version import code_version; print(code_version())"
        return subprocess.run([sys.executable, "-c", program], cwd=package, capture_output=True, text=True).stdout

    commit = git(tmp_path, "rev-parse", "--short", "HEAD").strip()
    assert re.search(rf"\(commit {commit}\)$", said().strip())
    assert (tmp_path / ".git" / "index").read_bytes() == before
    (package / "version.py").write_text((package / "version.py").read_text() + "\n")
    assert re.search(rf"\(commit {commit}, changed\)$", said().strip())
