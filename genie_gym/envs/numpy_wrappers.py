"""Gymnasium's wrappers that compute in NumPy, which fail with words of NumPy where they are given torch tensors."""

import inspect

from gymnasium.vector import VectorWrapper

from genie_gym.errors import ConfigError

__all__ = ["refuse_numpy_wrappers"]

NUMPY_ONLY = {
    "DtypeObservation",
    "FlattenObservation",
    "GrayscaleObservation",
    "NormalizeObservation",
    "NormalizeReward",
    "RecordEpisodeStatistics",
    "RescaleObservation",
    "ReshapeObservation",
    "ResizeObservation",
}
CONVERTERS = {"ArrayConversion", "NumpyToTorch"}  # what lies around these gets what they make


def refuse_numpy_wrappers() -> None:
    """Raise ConfigError if a NumPy wrapper is calling the environment that calls this.

    An environment is not told by what it is wrapped, so the callers are looked through; do so at a reset only.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, VectorWrapper) and type(caller).__module__.startswith("gymnasium.wrappers."):
            name = type(caller).__name__
            if name in CONVERTERS:
                return
            if name in NUMPY_ONLY:
                raise ConfigError(
                    f"{name} computes in NumPy, and the environments give torch tensors; make them without "
                    "tensors=True, or leave that wrapper out"
                )
        frame = frame.f_back
