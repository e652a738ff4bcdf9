"""Settings of the page on which people play."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError
from genie_gym.utils.options import ComputeOptions
from genie_gym.utils.validation import at_least, at_most, check_types, short

__all__ = ["PageOptions", "ServeConfig", "is_loopback"]

LAST_PORT = 65_535
SHORTEST_TOKEN = 12  # letters: what nobody guesses, as each guess takes a while
MOST_VISITORS = 256


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Who can open a page.

    Attributes:
        port: Port of the page; 0 takes any that is free.
        host: Address to listen on. Only this machine can open the page by default; with 0.0.0.0 others can, if they
            know the token.
        token: What visitors must know, at least 12 letters. Without one it is drawn, and shown in the address that is
            printed, if others can reach the page.

    Raises:
        ConfigError: A value is out of range.
    """

    port: int = 8000
    host: str = "127.0.0.1"
    token: str | None = None

    def __post_init__(self) -> None:
        at_least(0, port=self.port)
        at_most(LAST_PORT, port=self.port)
        if not self.host.strip():
            raise ConfigError("host must be an address, such as 127.0.0.1, or 0.0.0.0 for all networks; got nothing")
        if self.token is not None and not (self.token.isascii() and self.token.isalnum()):
            raise ConfigError(f"the token may have letters and digits only; got {short(self.token)}")
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError(f"the token must have {SHORTEST_TOKEN} letters or more; got {len(self.token)}")


@dataclass(frozen=True)
class ServeConfig(PageOptions, ComputeOptions):
    """Settings of the page on which people play.

    Attributes:
        worlds: Games, checkpoint folders or ids on the hub; by default all worlds on this machine.
        visitors: Most people who play at the same time; others are told to wait.
        recordings: Folder of the episodes that visitors record; by default `played` in the data folder.

    Raises:
        ConfigError: A value is out of range.
    """

    worlds: tuple[str, ...] = ()
    visitors: int = 16
    recordings: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        super().__post_init__()
        at_least(1, visitors=self.visitors, threads=self.threads)
        at_most(MOST_VISITORS, visitors=self.visitors)


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
