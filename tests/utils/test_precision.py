"""Which precision is chosen on which hardware."""

import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.utils.precision import autocast, full_precision, resolve_precision
from tests.conftest import what_the_hardware_says


@pytest.fixture(autouse=True)
def as_it_is(monkeypatch):
    """Here "auto" is what the hardware says."""
    monkeypatch.setattr("genie_gym.utils.precision._multiplies_bfloat16", what_the_hardware_says)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_asked_for_is_given(device):
    assert resolve_precision("float32", device) == torch.float32
    assert resolve_precision("bfloat16", device) == torch.bfloat16


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
    ],
)
def test_auto_on_a_processor(monkeypatch, amx, avx512, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    assert resolve_precision("auto", "cpu") == expected


def test_auto_where_torch_cannot_tell(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert resolve_precision("auto", "cpu") == torch.float32


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16), ((12, 0), torch.bfloat16)],
)
def test_auto_on_a_gpu(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert resolve_precision("auto", torch.device("cuda", 0)) == expected


def test_auto_elsewhere():
    assert resolve_precision("auto", "mps") == torch.float32


def test_unknown_precision():
    with pytest.raises(ConfigError, match="precision must be one of auto, float32, bfloat16; got 'float16'"):
        resolve_precision("float16", "cpu")


def test_autocast_lowers_products_only():
    layer, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with autocast(torch.bfloat16, "cpu"):
        assert layer(x).dtype == torch.bfloat16 and layer.weight.dtype == torch.float32
    with autocast(torch.float32, "cpu"):
        assert layer(x).dtype == torch.float32


def test_what_is_done_exactly_within_autocast_keeps_its_precision():
    layer, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with autocast(torch.bfloat16, "cpu"):
        with full_precision("cpu"):
            assert layer(x).dtype == torch.float32
        assert layer(x).dtype == torch.bfloat16
