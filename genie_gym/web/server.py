"""Serving a page until it is stopped: `genie-gym serve`, on which people play, and others."""

import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genie_gym.errors import ConfigError
from genie_gym.utils.extras import require
from genie_gym.utils.options import make_config
from genie_gym.web.config import PageOptions, ServeConfig

if TYPE_CHECKING:
    from fastapi import FastAPI

    from genie_gym.web.access import Access

__all__ = ["check_web_packages", "serve", "serve_app"]

EVERYWHERE = ("0.0.0.0", "::")


def serve(config: ServeConfig | None = None, /, **options: Any) -> None:
    """Serve the page until Ctrl-C or SIGTERM; its address is printed.

    Args:
        config: All settings in one object.
        options: Fields of `ServeConfig` by name, in place of a configuration.

    Raises:
        ConfigError: A setting is out of range, or nothing can listen on the address.
        CheckpointError, GameError: There is no world of a name.
        MissingExtraError: The packages of the extra `web` are not installed.
    """
    config = make_config(ServeConfig, config, options)
    check_web_packages()
    from genie_gym.utils.device import use_threads
    from genie_gym.web.app import make_app
    from genie_gym.web.worlds import find_worlds

    # One core is left to the page's traffic: with both of two, four visitors get a fifth fewer frames.
    use_threads(config.threads or max(1, (os.cpu_count() or 1) - 1))
    worlds = find_worlds(config.worlds, config.device)
    print(f"{len(worlds)} world(s): {', '.join(worlds)}")
    serve_app(lambda access: make_app(worlds, config, access), config, "play", 8 * config.visitors + 64)


def check_web_packages() -> None:
    """Raise MissingExtraError if a package of the extra `web` is not installed."""
    for package in ("uvicorn", "fastapi", "websockets"):
        require(package)


def serve_app(make_app: "Callable[[Access], FastAPI]", options: PageOptions, verb: str, connections: int) -> None:
    """Serve an application until Ctrl-C or SIGTERM; its address is printed.

    Args:
        make_app: Returns the application for those who may open it.
        options: Where it listens.
        verb: What people do there, for the line with the address.
        connections: Most connections at the same time.

    Raises:
        ConfigError: Nothing can listen on the address.
        MissingExtraError: The packages of the extra `web` are not installed.
    """
    uvicorn = require("uvicorn")
    from genie_gym.web.access import Access
    from genie_gym.web.protocol import MOST_BYTES

    access = Access(options)
    listening = _listen(options)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(access),
            log_level="warning",
            access_log=False,
            server_header=False,
            ws_max_size=MOST_BYTES,
            ws_per_message_deflate=False,  # frames are compressed already
            timeout_graceful_shutdown=2,
            limit_concurrency=connections,
        )
    )
    print(f"{verb} at {_address(listening, options.host, access.token)} (Ctrl-C ends)", flush=True)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # which the server raises again when it has ended
        print("ended")


def _listen(config: PageOptions) -> socket.socket:
    """Return a socket that listens on the address.

    Raises:
        ConfigError: The address is none of this machine, or the port is taken.
    """
    host = config.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, config.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{host!r:.80} is no address ({error}); try --host 127.0.0.1") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {config.port} is in use; stop what uses it, or give another --port (0 takes any)"
            ) from error
        raise ConfigError(f"cannot listen on {host}:{config.port} ({error.strerror}); give another") from error
    return listening


def _address(listening: socket.socket, host: str, token: str | None) -> str:
    """Return the address of the page, with the token if there is one."""
    shown = socket.gethostname() if host in EVERYWHERE else host.strip("[]")
    port = listening.getsockname()[1]
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
