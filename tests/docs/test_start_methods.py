"""Snippets that start processes work as scripts by each of Python's ways to start processes (from 3.14: forkserver)."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.docs.snippets import blocks

TUTORIALS = Path(__file__).parents[2] / "docs/tutorials"
METHODS = ("forkserver", "spawn")


def run_as_script(code: str, method: str, folder: Path) -> str:
    """Run code below `if __name__ == "__main__":` as a program of its own; return what it prints."""
    lines = ["import multiprocessing", f"multiprocessing.set_start_method({method!r})", code]
    body = textwrap.indent("\n".join(lines), "    ")
    (folder / "script.py").write_text(f'if __name__ == "__main__":\n{body}\n')
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.retro
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("sign", "package"), [("AsyncVectorEnv", "stable_retro"), ("PPO(", "stable_baselines3")])
def test_the_reward_around_many_emulators(tmp_path, sign, package, method):
    for needed in ("stable_retro", package):
        pytest.importorskip(needed, reason=f"needs {needed}: pip install genie_gym[retro,sb3]")
    block = next(block for block in blocks((TUTORIALS / "intrinsic-reward.md").read_text(), "python") if sign in block)
    said = run_as_script(block + "\nprint('done')", method, tmp_path)
    assert said.endswith("done\n") and ("[" in said) == ("print(rewards)" in block)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_collecting_an_environment_of_ones_own(tmp_path, method):
    pytest.importorskip("h5py", reason="needs h5py: pip install genie_gym[train]")
    environment, collect = blocks((TUTORIALS / "own-environment.md").read_text(), "python")[:2]
    (tmp_path / "catch.py").write_text(environment)
    assert "genie_gym.collect(Catch" in collect
    said = run_as_script(re.sub(r"(?m)^if __name__.*$", "if True:", collect), method, tmp_path)
    assert "20 episodes" in said
