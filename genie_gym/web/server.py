"""`genie-gym serve`: the page on which people play, until it is stopped."""

import errno
import os
import socket
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.utils.device import use_threads
from genie_gym.utils.extras import require
from genie_gym.utils.options import make_config
from genie_gym.web.config import ServeConfig
from genie_gym.web.worlds import find_worlds

__all__ = ["serve"]

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
    uvicorn = require("uvicorn")
    for package in ("fastapi", "websockets"):
        require(package)
    from genie_gym.web.access import Access
    from genie_gym.web.app import make_app
    from genie_gym.web.protocol import MOST_BYTES

    # One core is left to the page's traffic: with both of two, four visitors get a fifth fewer frames.
    use_threads(config.threads or max(1, (os.cpu_count() or 1) - 1))
    worlds = find_worlds(config.worlds, config.device)
    access = Access(config)
    listening = _listen(config)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(worlds, config, access),
            log_level="warning",
            access_log=False,
            server_header=False,
            ws_max_size=MOST_BYTES,
            ws_per_message_deflate=False,  # frames are compressed already
            timeout_graceful_shutdown=2,
            limit_concurrency=8 * config.visitors + 64,
        )
    )
    print(f"{len(worlds)} world(s): {', '.join(worlds)}")
    print(f"play at {_address(listening, config.host, access.token)} (Ctrl-C ends)", flush=True)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # which the server raises again when it has ended
        print("ended")


def _listen(config: ServeConfig) -> socket.socket:
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
