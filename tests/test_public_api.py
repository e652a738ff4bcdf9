"""Every public name is there, and none is imported before it is used."""

import importlib
import inspect
import subprocess
import sys

import pytest

import genie_gym

NAMES = [name for name in genie_gym.__all__ if name != "VecAutoExploreReward"]  # which needs the extra `sb3`


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there_and_documented(name):
    value = getattr(genie_gym, name)
    assert inspect.getdoc(value)
    if not inspect.ismodule(value):
        assert value.__name__ == name


def test_the_reward_for_stable_baselines():
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    assert genie_gym.VecAutoExploreReward is importlib.import_module("genie_gym.sb3").VecAutoExploreReward


def test_names_are_listed_and_others_refused():
    assert set(genie_gym.__all__) | {"__version__"} <= set(dir(genie_gym))
    assert genie_gym.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="has no attribute 'Dreams'"):
        _ = genie_gym.Dreams


def test_a_name_loads_what_it_needs_and_no_more():
    script = "import sys, genie_gym; genie_gym.WorldModelEnvConfig(); print('torch' in sys.modules)"
    script += "; genie_gym.WorldModelEnv; print('torch' in sys.modules, 'h5py' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "True", "False"]
