"""Nested results as values that JSON can hold."""

import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["to_jsonable"]


def to_jsonable(value: Any) -> Any:
    """Return nested results as JSON values: floats rounded to four places, None for NaN and infinity.

    Args:
        value: Dataclasses, dicts, lists and tuples of numbers, strings, paths and None.

    >>> to_jsonable({"psnr": np.float64(38.123456), "moving": (float("nan"), 2)})
    {'psnr': 38.1235, 'moving': [None, 2]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): to_jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_jsonable(part) for part in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return str(value) if isinstance(value, Path) else value
