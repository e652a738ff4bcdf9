"""The page of annotation: clips of the buttons, the probe's labels, and rows saved by keyboard alone."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")

from genie_gym.annotation.config import AnnotateConfig
from genie_gym.annotation.look import Look
from genie_gym.annotation.probe import propose
from genie_gym.annotation.record import record_game
from genie_gym.annotation.sheet import Sheet
from genie_gym.games.retroact import load, load_own
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.web import annotate
from genie_gym.web.config import PageOptions
from tests.web.browser import NEEDS_CHROMIUM
from tests.web.visits import WAIT, decode, running

GAMES = ("Toy", "CoinRun-Procgen", "Maze-Procgen")  # all of them play as the toy game here


@pytest.fixture(scope="module")
def look() -> Look:
    recording = record_game("Toy")
    return Look("Toy-Numpy", 15.0, propose(recording), recording.starts[0].clips)


@pytest.fixture
def sheet(tmp_path, monkeypatch, look) -> Sheet:
    monkeypatch.setattr(annotate, "look_at", lambda name, seed: look)
    monkeypatch.setattr("genie_gym.annotation.sheet.games.available", lambda name: True)
    return Sheet(AnnotateConfig(games=GAMES, file=tmp_path / "table.csv"))


@contextmanager
def served(sheet: Sheet) -> Iterator[str]:
    with running(lambda access: annotate.make_annotate_app(sheet, 0, access), PageOptions(port=0)) as server:
        yield server.address


def ask(address: str, path: str, said: object = None) -> tuple[int, bytes]:
    content = None if said is None else json.dumps(said).encode()
    request = urllib.request.Request(f"{address}/api/annotate{path}", content, method="GET" if said is None else "PUT")
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_game_with_its_clips_and_labels(sheet, look):
    with served(sheet) as address:
        about = json.loads(ask(address, "")[1])
        assert [game["name"] for game in about["games"]] == ["Toy-Numpy", "CoinRun-Procgen", "Maze-Procgen"]
        found = json.loads(ask(address, "/games/Toy-Numpy")[1])
        assert found["proposed"]["effects"] == look.proposal.effects and found["saved"] is None
        assert found["pressed"] == ["RIGHT", "LEFT", "ACTION_PRIMARY"]
        strip = decode(ask(address, "/games/Toy-Numpy/RIGHT.png")[1])
        assert (strip.reshape(found["frames"], 64, 64, 3) == look.clips["RIGHT"]).all()
        for path in ("/games/Pong-Ale", "/games/Toy-Numpy/UP.png", "/games/..%2f/NOOP.png"):
            assert ask(address, path)[0] == 404


def test_rows_are_saved_and_what_is_none_is_not(sheet):
    row = to_jsonable(load_own()["Toy-Numpy"])
    with served(sheet) as address:
        for wrong in ({"genre": ""}, {"effects": {}}, {"blinking": "maybe"}, {"game": "Maze-Procgen"}, {"more": 1}):
            assert ask(address, "/games/Toy-Numpy", row | wrong)[0] == 422
        assert ask(address, "/games/Toy-Numpy", ["x" * 20_000])[0] == 422
        assert ask(address, "/games/Toy-Numpy", row) == (200, b"{}")
        assert json.loads(ask(address, "/games/Toy-Numpy")[1])["saved"] == row
        assert json.loads(ask(address, "")[1])["games"][0]["done"]
    assert load(sheet.file) == {"Toy-Numpy": load_own()["Toy-Numpy"]}


def test_a_game_that_does_not_start_is_told(sheet, monkeypatch):
    from genie_gym.errors import GameError

    def refuse(name: str, seed: int) -> Look:
        raise GameError(f"{name} did not start")

    monkeypatch.setattr(annotate, "look_at", refuse)
    with served(sheet) as address:
        status, said = ask(address, "/games/Toy-Numpy")
    assert status == 500 and b"did not start" in said


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_annotating_with_the_keyboard_alone(sheet, open_page):
    with served(sheet) as address:
        page = open_page(address, viewport={"width": 1280, "height": 800})
        page.page.goto(address)
        page.until("document.body.dataset.shown === 'Toy-Numpy'")
        page.until("document.getElementById('RIGHT-held').dataset.frame === '9'")
        assert page.pixels("#RIGHT-held") != page.pixels("#RIGHT-nothing")
        assert page.page.input_value("[name=ACTION_PRIMARY]") == "jump"
        assert page.page.evaluate("getComputedStyle(document.querySelector('#figure-UP .pair')).visibility") == "hidden"
        keyboard = page.page.keyboard
        keyboard.press("PageDown")
        page.until("document.body.dataset.shown === 'CoinRun-Procgen'")
        keyboard.press("PageUp")
        page.until("document.body.dataset.shown === 'Toy-Numpy'")
        keyboard.type("x")  # the first label has the focus
        keyboard.press("Escape")
        assert page.page.input_value("[name=RIGHT]") == "right"
        for _ in range(6):
            keyboard.press("Tab")
        keyboard.type("side")
        for _ in range(2):
            keyboard.press("Tab")
        keyboard.type("pl")
        for _ in range(3):
            keyboard.press("Tab")
        keyboard.press("Space")  # delayed
        keyboard.press("Enter")
        page.until("document.body.dataset.shown === 'CoinRun-Procgen'")
        assert page.page.inner_text("#progress") == "1 of 3 annotated"
    (row,) = load(sheet.file).values()
    assert (row.game, row.view, row.genre, row.delayed, row.blinking) == ("Toy-Numpy", "side", "pl", True, False)
    assert row.effects["RIGHT"] == "right" and row.effects["ACTION_PRIMARY"] == "jump"
