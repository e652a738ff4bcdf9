"""Names that a package offers without importing their modules before they are used."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from genie_gym.utils.extras import naming_extras

__all__ = ["lazy_attributes"]


def lazy_attributes(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package whose names are imported when first used.

    Args:
        package: Name of the package, its `__name__`.
        places: Name to "module:attribute", or to "module" where the name stands for the module itself.
    """

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = places[name].partition(":")
        with naming_extras():  # a module may need an optional package
            value = importlib.import_module(module)
        value = getattr(value, attribute) if attribute else value
        setattr(sys.modules[package], name, value)  # the next use finds it without this function
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *places})

    return load, names
