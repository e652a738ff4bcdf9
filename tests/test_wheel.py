"""The built wheel, installed alone outside the checkout, goes the whole round: record, fit, `gymnasium.make`, step."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
STEP = """
import genie_gym, gymnasium as gym
env = gym.make("GenieRedux/Toy-v0")
frame, _ = env.reset(seed=0)
frame, reward, *_ = env.step(1)
print(genie_gym.__file__, frame.shape, frame.dtype, type(reward).__name__)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """A command's output; outside the checkout, and blind to it."""
    blind = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    answer = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**blind, **environment}, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "genie_gym", copy / "genie_gym", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, copy, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """A new environment that holds the wheel, and sees the libraries of this one but not its genie_gym."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = (folder / "lib").glob("python*/site-packages")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # .pth files in these folders are not followed, so neither is the link of an editable install
    (site / "libraries.pth").write_text("\n".join(libraries))
    return python


def test_wheel_holds_all_files(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {str(f.relative_to(ROOT)) for f in (ROOT / "genie_gym").rglob("*") if f.is_file()}
    assert {name for name in files if "__pycache__" not in name} - held == set()
    assert any(name.endswith("LICENSE") for name in held)
    assert not any(name.startswith(("tests", "training", "benchmarks")) for name in held)


def test_round(python, tmp_path):
    program, home = python.with_name("genie-gym"), str(tmp_path / "home")
    collect = ["collect", "Toy", "--episodes", "4", "--max-steps", "60", "--workers", "1", "--policy", "sticky"]
    run(program, *collect, cwd=tmp_path, GENIE_GYM_HOME=home)
    run(program, "train", "Toy", "--minutes", "0.05", cwd=tmp_path, GENIE_GYM_HOME=home)
    file, *seen = run(python, "-c", STEP, cwd=tmp_path, GENIE_GYM_HOME=home).split(maxsplit=1)
    assert Path(file).is_relative_to(python.parents[1])
    assert seen == ["(64, 64, 3) uint8 float\n"]
