"""What all pages of the package share: files, the token, and the checks of each request."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from genie_gym.web.access import HEADERS, Access

__all__ = ["base_app", "read_object"]

PAGES = Path(__file__).parent / "static"
GUESS_SECONDS = 0.5  # that a wrong token costs
MOST_LOGIN = 1000  # bytes

router = APIRouter()


def base_app(page: str, access: Access, lifespan: Any = None) -> FastAPI:
    """Return an application that shows a page and asks for the token where one is wanted.

    Args:
        page: Name of its HTML file; everything else that it needs lies beside it and is no secret.
        access: Who may open it: all of `/api/` is for those alone.
        lifespan: What runs beside it, as FastAPI takes it.
    """
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.access = access
    app.middleware("http")(_guard)
    app.include_router(router)
    app.add_api_route("/", lambda: FileResponse(PAGES / page), response_class=FileResponse)
    app.mount("/static", StaticFiles(directory=PAGES))
    return app


async def read_object(request: Request, most: int) -> dict[str, Any] | None:
    """Return the JSON object in the body of a request; None if it has another one, or more bytes than `most`."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > most:
            return None
    with suppress(ValueError, RecursionError):
        plain = json.loads(content)
        return plain if isinstance(plain, dict) else None
    return None


async def _guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse requests that may not be; the page itself tells nothing, and asks for the token where one is wanted."""
    access, path = request.app.state.access, request.url.path
    if not access.is_own(request):
        response: Response = JSONResponse({"error": "open this page under its own address"}, 403)
    elif path.startswith("/api/") and path != "/api/token" and not access.admits(request):
        response = JSONResponse({"error": "this page wants the token that the command printed"}, 401)
    else:
        response = await answer(request)
    response.headers.update(HEADERS)
    return response


@router.post("/api/token")
async def _log_in(request: Request) -> Response:
    access = request.app.state.access
    token = (await read_object(request, MOST_LOGIN) or {}).get("token")
    if not isinstance(token, str) or not access.knows(token):
        await asyncio.sleep(GUESS_SECONDS)
        return JSONResponse({"error": "that is not the token"}, 401)
    response = JSONResponse({})
    response.set_cookie(access.cookie, str(access.token), httponly=True, samesite="strict")
    return response
