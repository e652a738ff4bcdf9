"""A plain `pip install genie_gym` steps worlds and runs the command line; what else is wanted names its extra."""

import os
import subprocess
import sys

import pytest

from genie_gym.errors import MissingExtraError
from genie_gym.utils.extras import EXTRAS, naming_extras, require

# Finds nothing of what only extras bring, as on a machine where they are not installed.
WITHOUT_EXTRAS = f"""
import importlib.util, sys

hidden, find = {sorted(EXTRAS)!r}, importlib.util.find_spec

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
importlib.util.find_spec = lambda name, package=None: None if name in hidden else find(name, package)
"""
STEP = """
import genie_gym, gymnasium as gym
env = gym.make("GenieRedux/Airstriker-v0")
env.reset(seed=0)
print(env.step(0)[0].shape)
envs = gym.make_vec("GenieRedux/Airstriker-v0", num_envs=2, reward="autoexplore")
envs.reset(seed=0)
print(envs.step(envs.action_space.sample())[0].shape)
"""
COMMAND = "from genie_gym.cli import main; sys.exit(main({words!r}))"


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process where no extra is installed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS + code], capture_output=True, text=True, env=environment
    )


def test_steps_worlds_without_extras():
    done = run(STEP)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["(64, 64, 3)", "(2, 64, 64, 3)"]


@pytest.mark.parametrize("words", [["--help"], ["collect", "--help"], ["games"]], ids=" ".join)
def test_command_line_without_extras(words):
    done = run(COMMAND.format(words=words))
    assert done.returncode == 0, done.stderr
    assert "collect" in done.stdout or "Airstriker" in done.stdout


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["collect", "Toy", "--steps", "10", "--workers", "1"], "train"),
        (["train", "Toy", "--minutes", "0.01"], "train"),
        (["play", "Airstriker"], "play"),
        (["serve", "Airstriker"], "web"),
    ],
    ids=" ".join,
)
def test_a_missing_extra_is_named(words, extra):
    done = run(COMMAND.format(words=words))
    assert done.returncode == 2, done.stderr
    assert f"genie_gym[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("import genie_gym; genie_gym.EpisodeDataset", "train"),
        ("from genie_gym.sb3 import ImaginedVecEnv", "sb3"),
        ("from genie_gym import games; games.make('Airstriker')", "retro"),
    ],
    ids=["train", "sb3", "retro"],
)
def test_python_names_the_extra(code, extra):
    done = run(code)
    assert "MissingExtraError" in done.stderr and f"genie_gym[{extra}]" in done.stderr


def test_other_missing_modules_stay_what_they_are():
    with pytest.raises(ModuleNotFoundError) as caught, naming_extras():
        require("a_module_of_nobody")
    assert not isinstance(caught.value, MissingExtraError)


def test_every_extra_is_one_of_setup_cfg():
    from configparser import ConfigParser
    from pathlib import Path

    setup = ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    assert set(EXTRAS.values()) <= set(setup["options.extras_require"])
