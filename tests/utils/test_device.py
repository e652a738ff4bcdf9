"""Names of devices, and the global state that is the caller's."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.utils.device import find_device, kept_global_state
from tests.conftest import random_state


def test_names_are_torchs():
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("cuda, kind", [(False, "cpu"), (True, "cuda")])
def test_auto_is_the_gpu_where_there_is_one(cuda, kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    # does not ask the driver
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: SimpleNamespace(item=lambda: 0.0, device=device))
    assert find_device("auto").type == kind


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_has_its_number():
    assert find_device("cuda") == find_device("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize("name", ["abacus", "cpu:x", "cuda:99", "meta", None])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ConfigError, match=rf"cannot use device {name!r} .*; try device='cpu'"):
        find_device(name)


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_global_state_is_restored(fails):
    before = random_state(), torch.get_num_threads()
    try:
        with kept_global_state():
            for seed in (random.seed, np.random.seed, torch.manual_seed, lambda seed: torch.set_num_threads(3)):
                seed(12345)
            assert random_state() != before[0] and torch.get_num_threads() == 3
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    assert (random_state(), torch.get_num_threads()) == before
