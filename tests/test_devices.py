"""Names of devices."""

import pytest
import torch

from genie_gym.devices import find_device
from genie_gym.errors import ConfigError


def test_names_are_torchs():
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("cuda, kind", [(False, "cpu"), (True, "cuda")])
def test_auto_is_the_gpu_where_there_is_one(cuda, kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: torch.tensor(0.0))  # does not ask the driver
    assert find_device("auto").type == kind


@pytest.mark.parametrize("name", ["abacus", "cpu:x", "cuda:99", "meta", None])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ConfigError, match=rf"cannot use device {name!r} .*; try device='cpu'"):
        find_device(name)
