"""The page of a user study: pairs of clips in an order of each participant's own; which is which, it never learns."""

import asyncio
import hashlib
import json
import math
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from genie_gym.errors import DataError
from genie_gym.studies.order import trials
from genie_gym.studies.store import Answer, StudyFile
from genie_gym.utils.validation import is_name
from genie_gym.web.access import Access
from genie_gym.web.base import base_app, read_object

__all__ = ["make_study_app"]

MOST_BYTES = 1000  # of an answer
LONGEST_RATER = 60
LONGEST_TIME = 24 * 3600.0  # seconds
SIDES = {"left": -1, "neither": 0, "right": 1}  # how a choice is said, as it is shown

router = APIRouter(prefix="/api/study")


def make_study_app(study: StudyFile, access: Access) -> FastAPI:
    """Return the application.

    Args:
        study: The study.
        access: Who may take part.
    """
    app = base_app("study.html", access)
    app.state.study = study
    app.include_router(router)
    return app


@router.get("")
def _about(request: Request) -> Response:
    plan = request.app.state.study.plan
    known = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()[:16]
    pairs = len(request.app.state.study.facts)
    return JSONResponse({"id": known, "kind": plan.kind, "fps": plan.fps, "frames": plan.frames, "pairs": pairs})


@router.get("/raters/{rater}")
def _answered(request: Request, rater: str) -> Response:
    """The answers so far, in the participant's order; null where there is none."""
    study = request.app.state.study
    if not _is_rater(rater):
        return _no_rater()
    given = {answer.sample: answer for answer in study.answers(rater)}
    order = trials(study.plan.seed, rater, len(study.facts))
    return JSONResponse({"answers": [_as_shown(study, given[one]) if one in given else None for one, _ in order]})


@router.get("/raters/{rater}/pairs/{place}")
def _pair(request: Request, rater: str, place: int) -> Response:
    found = _trial(request.app.state.study, rater, place)
    if found is None:
        return _no_pair()
    return JSONResponse({"action": request.app.state.study.facts[found[0]].action})


@router.get("/raters/{rater}/pairs/{place}/{side}.png")
def _clip(request: Request, rater: str, place: int, side: str) -> Response:
    study = request.app.state.study
    found = _trial(study, rater, place)
    if found is None or side not in ("left", "right"):
        return _no_pair()
    number, swapped = found
    return Response(study.clip(number, second=(side == "right") != swapped), media_type="image/png")


@router.put("/raters/{rater}/pairs/{place}")
async def _answer(request: Request, rater: str, place: int) -> Response:
    study = request.app.state.study
    found = _trial(study, rater, place)
    if found is None:
        return _no_pair()
    said = await read_object(request, MOST_BYTES) or {}
    value, seconds = _value(study.plan.kind, said.get("answer"), found[1]), said.get("seconds")
    if value is None or not isinstance(seconds, float | int) or not 0 <= seconds <= LONGEST_TIME:
        return JSONResponse({"error": "that is no answer"}, 422)
    answer = Answer(rater, found[0], value, found[1], round(float(seconds), 2))
    try:
        await asyncio.to_thread(study.put, answer)
    except DataError as error:
        return JSONResponse({"error": str(error)}, 500)
    return JSONResponse({})


def _trial(study: StudyFile, rater: str, place: int) -> tuple[int, bool] | None:
    """The pair at a place of a participant's order, and whether its first clip is on the right."""
    if not _is_rater(rater) or not 0 <= place < len(study.facts):
        return None
    return trials(study.plan.seed, rater, len(study.facts))[place]


def _value(kind: str, said: Any, swapped: bool) -> float | None:
    """What an answer means: a rating, or 0 for the first model and 1 for the second; None if it is none."""
    if kind == "rate":
        return float(said) if type(said) is int and 1 <= said <= 5 else None
    side = SIDES.get(said) if isinstance(said, str) else None
    return None if side is None else (1 + (-side if swapped else side)) / 2


def _as_shown(study: StudyFile, answer: Answer) -> int | str:
    """The inverse of `_value`."""
    if study.plan.kind == "rate":
        return math.floor(answer.value)
    side = round(2 * answer.value - 1) * (-1 if answer.swapped else 1)
    return next(name for name, known in SIDES.items() if known == side)


def _is_rater(rater: str) -> bool:
    return is_name(rater) and len(rater) <= LONGEST_RATER


def _no_rater() -> Response:
    return JSONResponse({"error": "a participant's name has letters, digits, '_', '.' and '-' only"}, 422)


def _no_pair() -> Response:
    return JSONResponse({"error": "there is no such pair of clips"}, 404)
