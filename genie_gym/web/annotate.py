"""The page on which games are annotated: clips of every button beside doing nothing, and the labels of a row."""

import asyncio
from collections import OrderedDict
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from genie_gym import games
from genie_gym.annotation.look import Look, look_at
from genie_gym.annotation.record import NOTHING
from genie_gym.annotation.sheet import Sheet, known_words, row_of
from genie_gym.errors import GenieGymError
from genie_gym.games import retroact
from genie_gym.games.retroact.table import BUTTONS, Annotation
from genie_gym.utils.images import to_strip
from genie_gym.utils.jsonable import from_jsonable, to_jsonable
from genie_gym.web.access import Access
from genie_gym.web.base import base_app, read_object

__all__ = ["make_annotate_app"]

MOST_BYTES = 10_000  # of a row
KEPT = 12  # games whose clips are kept in memory

router = APIRouter(prefix="/api/annotate")


def make_annotate_app(sheet: Sheet, seed: int, access: Access) -> FastAPI:
    """Return the application.

    Args:
        sheet: The games, and the table that is written.
        seed: Random seed of random play before buttons are tried.
        access: Who may annotate.
    """
    app = base_app("annotate.html", access)
    app.state.sheet, app.state.looks = sheet, Looks(seed)
    app.include_router(router)
    return app


class Looks:
    """What was seen of games, one after another, and the next one ahead of time.

    Args:
        seed: Random seed of random play.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self._one = asyncio.Semaphore(1)
        self._made: OrderedDict[str, asyncio.Task[Look]] = OrderedDict()

    async def at(self, name: str) -> Look:
        """Return what is seen of a game.

        Raises:
            GameError: It does not start.
        """
        task = self._made.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._made[name] = asyncio.create_task(self._make(name))
        self._made.move_to_end(name)
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        return await asyncio.shield(task)  # others may wait for it too

    async def _make(self, name: str) -> Look:
        async with self._one:
            return await asyncio.to_thread(look_at, name, self._seed)


@router.get("")
def _about(request: Request) -> Response:
    """The games, which of them have a row, and the words that other tables use."""
    sheet, file = request.app.state.sheet, retroact.find_file()
    rows = sheet.rows()
    published = [*retroact.load_own().values(), *(retroact.load(file).values() if file else ())]
    named = [{"name": name, "done": name in rows} for name in sheet.games]
    return JSONResponse({"games": named, "buttons": BUTTONS, "words": known_words([*published, *rows.values()])})


@router.get("/games/{name}")
async def _game(request: Request, name: str) -> Response:
    """A game's own row, if it has one, and what the probe proposes."""
    sheet, looks = request.app.state.sheet, request.app.state.looks
    if name not in sheet.games:
        return _no_game()
    try:
        look = await looks.at(name)
        saved = (await asyncio.to_thread(sheet.rows)).get(name)
    except GenieGymError as error:
        return JSONResponse({"error": str(error)}, 500)
    pressed = [button for button in BUTTONS if button in look.clips]
    return JSONResponse(
        {
            "title": games.find(name).title,
            "fps": look.fps,
            "frames": len(look.clips[NOTHING]),
            "pressed": pressed,
            "saved": to_jsonable(saved),
            "proposed": to_jsonable(row_of(name, look.proposal)),
        }
    )


@router.get("/games/{name}/{button}.png")
async def _clip(request: Request, name: str, button: str) -> Response:
    if name not in request.app.state.sheet.games:
        return _no_game()
    try:
        look = await request.app.state.looks.at(name)
    except GenieGymError as error:
        return JSONResponse({"error": str(error)}, 500)
    if button not in look.clips:
        return JSONResponse({"error": "the game has no such button"}, 404)
    return Response(await asyncio.to_thread(to_strip, look.clips[button]), media_type="image/png")


@router.put("/games/{name}")
async def _save(request: Request, name: str) -> Response:
    said: Any = await read_object(request, MOST_BYTES)
    try:
        row = from_jsonable(Annotation, said, "the row")
        if row.game != name or set(row.effects) != set(BUTTONS):
            raise ValueError("the row is of another game, or lacks a button")
        await asyncio.to_thread(request.app.state.sheet.save, row)
    except (ValueError, GenieGymError) as error:
        return JSONResponse({"error": str(error)}, 422)
    return JSONResponse({})


def _no_game() -> Response:
    return JSONResponse({"error": "this game is not annotated here"}, 404)
