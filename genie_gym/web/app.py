"""The web application: the page, the gallery, and one WebSocket for each visitor who plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from genie_gym.errors import ConfigError, GenieGymError
from genie_gym.web.access import Access
from genie_gym.web.base import base_app
from genie_gym.web.config import ServeConfig
from genie_gym.web.player import Player
from genie_gym.web.preview import FRAMES, Previews
from genie_gym.web.protocol import Record, read_message, read_picture
from genie_gym.web.stage import Stage
from genie_gym.web.worlds import World

__all__ = ["make_app"]

MOST_A_SECOND = 300.0  # messages of a page: one for each frame, and those of keys
BURST = 600.0
CLOSE_SECONDS = 30.0  # until a connection is left to the keepalive of the server

# Reasons of the WebSocket protocol for closing a connection.
REFUSED, TRY_LATER = 1008, 1013


router = APIRouter()


def make_app(worlds: dict[str, World], config: ServeConfig, access: Access) -> FastAPI:
    """Return the application.

    Args:
        worlds: Worlds by id.
        config: Settings.
        access: Who may open it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stage = stage = Stage(worlds, config)
        app.state.previews = Previews(stage.in_a_pass)
        beat = asyncio.create_task(stage.run())
        try:
            yield
        finally:
            beat.cancel()
            await stage.close()

    app = base_app("index.html", access, lifespan)
    app.state.worlds = worlds
    app.include_router(router)
    return app


@router.get("/api/worlds")
async def _gallery(request: Request) -> Response:
    worlds = [world.describe() for world in request.app.state.worlds.values()]
    return JSONResponse({"worlds": worlds, "preview_frames": FRAMES})


@router.get("/api/worlds/{name}/preview.png")
async def _preview(request: Request, name: str) -> Response:
    world = request.app.state.worlds.get(name)
    if world is None:
        return JSONResponse({"error": "there is no such world here"}, 404)
    try:
        content = await request.app.state.previews.of(world)
    except GenieGymError as error:
        return JSONResponse({"error": str(error)}, 500)
    return Response(content, media_type="image/png")


@router.websocket("/play")
async def _play(socket: WebSocket) -> None:
    if not socket.app.state.access.admits(socket):
        await socket.close(REFUSED)  # before it is accepted: the browser is answered 403
        return
    await socket.accept()
    await _serve_visitor(socket, socket.app.state.stage)


async def _serve_visitor(socket: WebSocket, stage: Stage) -> None:
    """Let one visitor play, until the page closes or is too slow, too fast or gone."""
    try:
        player = stage.enter()
    except ConfigError as error:
        await _close(socket, TRY_LATER, str(error))
        return
    listening = asyncio.create_task(_listen(socket, stage, player))
    sending = asyncio.create_task(_send(socket, player))
    talking: list[asyncio.Future[Any]] = [listening, sending, player.leaving]
    try:
        await asyncio.wait(talking, return_when=asyncio.FIRST_COMPLETED)
        reason = player.leaving.result() if player.leaving.done() else None
    finally:
        listening.cancel()
        sending.cancel()
        await asyncio.gather(listening, sending, return_exceptions=True)
        stage.leave(player)
    if reason is not None:
        await _close(socket, REFUSED, reason)


async def _listen(socket: WebSocket, stage: Stage, player: Player) -> None:
    """Hear what a page says, until it closes; nothing that it says ends anything but its own connection."""
    allowed, last = BURST, monotonic()
    with suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            now = monotonic()
            allowed, last = min(BURST, allowed + (now - last) * MOST_A_SECOND) - 1, now
            if allowed < 0:
                player.drop("this page sends too much")
                return
            try:
                _hear(player, stage, message)
            except GenieGymError as error:
                player.complain(error)
            stage.wake()


def _hear(player: Player, stage: Stage, message: Any) -> None:
    """Do what one message asks for.

    Raises:
        ConfigError: It is none, or asks for what there is not.
    """
    content = message.get("bytes")
    if content is not None:
        player.picture = read_picture(content)
        return
    said = read_message(message.get("text") or "")
    if said == Record(False):
        stage.end_recording(player)
    player.hear(said)


async def _send(socket: WebSocket, player: Player) -> None:
    """Send what there is to send, at the pace of the page; one that is too slow is dropped by its player."""
    with suppress(WebSocketDisconnect, RuntimeError, OSError):  # it is gone
        while True:
            message = await player.outbox.get()
            await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Close a connection, whose page may take long to read what was sent before, or not answer any more."""
    with suppress(Exception):
        await asyncio.wait_for(socket.close(code, reason[:120]), CLOSE_SECONDS)
