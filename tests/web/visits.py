"""A server in this process, and visitors that speak to it as the page does."""

import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
import uvicorn
from websockets.sync.client import ClientConnection, connect

from genie_gym.web.access import Access
from genie_gym.web.app import make_app
from genie_gym.web.config import PageOptions, ServeConfig
from genie_gym.web.protocol import MOST_BYTES
from genie_gym.web.worlds import find_worlds
from genie_gym.world_model import Checkpoint
from tests.conftest import untrained

WAIT = 60  # seconds for an answer on a busy machine


@dataclass
class Frame:
    """A frame as the page gets it."""

    header: dict[str, Any]
    dream: np.ndarray
    real: np.ndarray | None
    heat: bytes


@dataclass
class Visitor:
    """One connection."""

    socket: ClientConnection
    said: list[dict[str, Any]] = field(default_factory=list)  # texts of the server
    acknowledges: bool = True

    def say(self, type: str, **content: Any) -> None:
        self.socket.send(json.dumps({"type": type, **content}))

    def frame(self) -> Frame:
        """The next frame."""
        while True:
            message = self.socket.recv(WAIT)
            if isinstance(message, str):
                self.said.append(json.loads(message))
                assert self.said[-1]["type"] != "error", self.said[-1]
                continue
            frame = unpack(message)
            if self.acknowledges:
                self.say("ack", frame=frame.header["frame"])
            return frame

    def frames(self, last: int) -> list[Frame]:
        """The next frames, up to that of a step."""
        found = [self.frame()]
        while found[-1].header["step"] < last:
            found.append(self.frame())
        return found

    def rewind(self, steps: int, frames: list[Frame]) -> Frame:
        """Go back; return the frame there, and add those that were still made before it to the list."""
        self.say("rewind", steps=steps)
        while (frame := self.frame()).header["step"] > frames[-1].header["step"]:
            frames.append(frame)
        return frame

    def hear(self, kind: str) -> dict[str, Any]:
        """The next text of a kind; frames before it are drawn and forgotten."""
        while True:
            message = self.socket.recv(WAIT)
            if isinstance(message, bytes):
                self.say("ack", frame=unpack(message).header["frame"])
                continue
            said = json.loads(message)
            if said["type"] == kind:
                return said
            assert said["type"] != "error", said

    def start(self, world: str = "Toy-Numpy", seed: int = 0, **options: Any) -> Frame:
        """Begin a dream and return its first frame."""
        self.say("start", world=world, seed=seed, **options)
        while (frame := self.frame()).header["step"] != 0:
            pass
        return frame


def unpack(message: bytes) -> Frame:
    (length,) = struct.unpack(">I", message[:4])
    header, place, parts = json.loads(message[4 : 4 + length]), 4 + length, []
    for size in header["parts"]:
        parts.append(message[place : place + size])
        place += size
    assert place == len(message)
    return Frame(header, decode(parts[0]), decode(parts[1]) if parts[1] else None, parts[2])


def decode(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@dataclass
class Served:
    """A running server."""

    port: int
    token: str | None
    app: Any

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def visitor(self, **options: Any) -> Iterator[Visitor]:
        with connect(f"ws://127.0.0.1:{self.port}/play", max_size=2**24, **options) as socket:
            yield Visitor(socket)


@contextmanager
def serving(*places: str, **options: Any) -> Iterator[Served]:
    """Serve checkpoints on a port of its own."""
    config = ServeConfig(worlds=places, device="cpu", **{"port": 0, **options})
    worlds = find_worlds(config.worlds, config.device)
    with running(lambda access: make_app(worlds, config, access), config) as server:
        yield server


@contextmanager
def running(make: Callable[[Access], Any], options: PageOptions) -> Iterator[Served]:
    """Run an application in this process."""
    access = Access(options)
    app = make(access)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=options.port,
            log_level="error",
            ws_max_size=MOST_BYTES,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ends = time.monotonic() + WAIT
    while not server.started:
        assert thread.is_alive() and time.monotonic() < ends
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(port, access.token, app)
    finally:
        server.should_exit = True
        thread.join(WAIT)


def endless() -> Checkpoint:
    """An untrained world of the toy game whose episodes do not end."""
    checkpoint = untrained()
    ends = checkpoint.model.dynamics.heads.termination
    torch.nn.init.zeros_(ends.weight)
    torch.nn.init.constant_(ends.bias, -30)
    return checkpoint
