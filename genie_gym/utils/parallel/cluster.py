"""A connection to a Ray cluster."""

import logging
import socket
from typing import TYPE_CHECKING, Any

from genie_gym.errors import ConfigError, first_line
from genie_gym.utils.extras import require

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RayCluster"]


class RayCluster:
    """A Ray cluster, as a context manager.

    Args:
        address: As `ray.init` takes it: "auto", HOST:PORT, or "local" for a cluster of this machine alone.

    Attributes:
        ray: The module.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: There is no cluster at the address.
    """

    def __init__(self, address: str):
        self.ray: Any = require("ray")
        self._ours = not self.ray.is_initialized()
        if not self._ours:
            return
        try:
            _knock(address)
            self.ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # of many kinds, for wrong addresses and for clusters that are gone
            raise ConfigError(
                f"there is no Ray cluster at {address!r} ({first_line(error)}); start its head with: ray start --head, "
                "further nodes with: ray start --address HEAD:6379, and give --ray auto"
            ) from error

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._ours:
            self.ray.shutdown()

    def cpus(self) -> int:
        """Return the number of CPUs of all nodes.

        Raises:
            ConfigError: There is none.
        """
        cpus = int(self.ray.cluster_resources().get("CPU", 0))
        if not cpus:
            raise ConfigError("the nodes of the Ray cluster offer no CPU; start them without --num-cpus 0")
        return cpus


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT, of which Ray would be sure in minutes only."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
