"""Precision of matrix products: bfloat16 where the hardware is faster with it, else float32."""

from contextlib import AbstractContextManager

import torch

from genie_gym.errors import ConfigError

__all__ = ["PRECISIONS", "autocast", "full_precision", "resolve_precision"]

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_precision(precision: str, device: torch.device | str) -> torch.dtype:
    """Return the dtype of matrix products.

    Args:
        precision: "float32", "bfloat16", or "auto": bfloat16 where the hardware has instructions for it. Emulated, it
            is ten times slower than float32, as measured on a processor with AVX2 only.
        device: Device on which they run.

    Raises:
        ConfigError: The precision is none of these.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision != "auto":
        return getattr(torch, precision)
    return torch.bfloat16 if _multiplies_bfloat16(torch.device(device)) else torch.float32


def autocast(dtype: torch.dtype, device: torch.device | str) -> AbstractContextManager:
    """Return a context in which matrix products run in `dtype` while weights and sums stay float32."""
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32)


def full_precision(device: torch.device | str) -> AbstractContextManager:
    """Return a context that suspends `autocast`: matrix products run in the precision of their operands."""
    return torch.autocast(torch.device(device).type, enabled=False)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return any(_has(name) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return False


def _has(feature: str) -> bool:
    return bool(getattr(torch.cpu, feature, lambda: False)())
