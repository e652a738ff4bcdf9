"""Optional packages: which extra of genie_gym brings each, and errors that say so."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from genie_gym.errors import MissingExtraError

__all__ = ["EXTRAS", "naming_extras", "require"]

# Names that code imports, and the extra whose packages they belong to.
EXTRAS = {
    "av": "train",
    "h5py": "train",
    "imageio": "train",
    "jinja2": "train",
    "lightning_fabric": "train",
    "matplotlib": "train",
    "scipy": "train",
    "tensorboard": "train",
    "torchmetrics": "train",
    "stable_retro": "retro",
    "ale_py": "atari",
    "gym_super_mario_bros": "nes",
    "procgen": "procgen",
    "stable_baselines3": "sb3",
    "sb3_contrib": "sb3",
    "pygame": "play",
    "minari": "minari",
    "torchrl": "torchrl",
    "tensordict": "torchrl",
    "pyarrow": "lerobot",
    "onnx": "export",
    "onnxscript": "export",
    "fastapi": "web",
    "starlette": "web",
    "uvicorn": "web",
    "websockets": "web",
    "ray": "ray",
}


def require(module: str, extra: str | None = None) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: Name as in `import`, such as "h5py" or "imageio.v3".
        extra: The extra of genie_gym that brings it; found in `EXTRAS` by default.

    Raises:
        MissingExtraError: It is not installed; the message says what to type.

    >>> require("json").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        _explain(error, extra)
        raise


@contextmanager
def naming_extras() -> Iterator[None]:
    """Turn the failed import of an optional package into an error that names its extra.

    Raises:
        MissingExtraError: A package of `EXTRAS` is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        _explain(error)
        raise


def _explain(error: ModuleNotFoundError, extra: str | None = None) -> None:
    """Raise an error that names the extra, if one would help."""
    package = (error.name or "").split(".")[0]
    extra = extra or EXTRAS.get(package)
    if extra is not None:
        raise MissingExtraError(f"{package} is not installed; type: pip install 'genie_gym[{extra}]'") from error
