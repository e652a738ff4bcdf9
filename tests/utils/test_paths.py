"""Without a home folder, as in some containers, shipped worlds work, and the rest says what to set."""

import os
import subprocess
import sys

import pytest

from genie_gym.errors import ConfigError
from genie_gym.utils import paths

# No HOME, and a user who is not in the list of users.
HOMELESS = """
import os, pwd, sys

def unknown(uid):
    raise KeyError(uid)

pwd.getpwuid = unknown
import genie_gym, gymnasium as gym
print(gym.make("GenieRedux/Airstriker-v0").reset(seed=0)[0].shape)
from genie_gym.cli import main
sys.exit(main(["collect", "Toy", "--steps", "20"]))
"""


def test_shipped_worlds_need_no_home_folder():
    hidden = ("HOME", "GENIE_GYM_HOME", "XDG_DATA_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run([sys.executable, "-c", HOMELESS], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "(64, 64, 3)", done.stderr
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "set GENIE_GYM_HOME" in done.stderr


def test_a_home_of_a_user_who_does_not_exist(monkeypatch):
    monkeypatch.setenv("GENIE_GYM_HOME", "~nobody-of-that-name/worlds")
    assert not paths.has_home()
    with pytest.raises(ConfigError, match="GENIE_GYM_HOME"):
        paths.home()
