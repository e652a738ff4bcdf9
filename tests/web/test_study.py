"""The page of a study: blinded, resumed after a reload and after the server was killed, by keyboard alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")

from genie_gym.studies import StudyConfig, open_study
from genie_gym.studies.order import trials
from genie_gym.studies.store import StudyFile
from genie_gym.web.config import PageOptions
from genie_gym.web.study import make_study_app
from tests.conftest import untrained
from tests.toy_play import record
from tests.web.browser import NEEDS_CHROMIUM, Page
from tests.web.visits import WAIT, decode, running


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("good", "bad")):
        untrained(seed=seed).save(folder / name)
    record(folder / "data", episodes=20, steps=40)
    return {"models": (str(folder / "good"), str(folder / "bad")), "data": (str(folder / "data"),)}


@pytest.fixture(scope="module")
def made(models, tmp_path_factory) -> dict[str, bytes]:
    """A study of each kind, as the content of its file."""
    folder, kinds = tmp_path_factory.mktemp("made"), {"rate": {"samples": 6}, "choose": {"samples": 4, "frames": 5}}
    for kind, options in kinds.items():
        open_study(StudyConfig(kind=kind, file=folder / kind, device="cpu", **models, **options))
    return {kind: (folder / kind).read_bytes() for kind in kinds}


@pytest.fixture
def study(request, made, tmp_path) -> StudyFile:
    (tmp_path / "study.sqlite").write_bytes(made[getattr(request, "param", "rate")])
    return StudyFile(tmp_path / "study.sqlite")


def ask(address: str, path: str, said: object = None) -> tuple[int, bytes]:
    content = None if said is None else said if isinstance(said, bytes) else json.dumps(said).encode()
    request = urllib.request.Request(f"{address}/api/study{path}", content, method="GET" if said is None else "PUT")
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@contextmanager
def served(study: StudyFile, **options) -> Iterator[str]:
    with running(lambda access: make_study_app(study, access), PageOptions(port=0, **options)) as server:
        yield server.address


@pytest.mark.parametrize("study", ["rate", "choose"], indirect=True)
def test_clips_and_answers_are_put_in_their_places(study):
    """Who looks at what lies in the file and at what is shown finds the same pairs, on the sides that are noted."""
    with served(study) as address:
        for place, (number, swapped) in enumerate(trials(study.plan.seed, "anna", len(study.facts))):
            for side, second in (("left", swapped), ("right", not swapped)):
                status, png = ask(address, f"/raters/anna/pairs/{place}/{side}.png")
                assert status == 200 and (decode(png) == decode(study.clip(number, second))).all()
            said = {"answer": 4 if study.plan.kind == "rate" else "left", "seconds": 1.5}
            assert ask(address, f"/raters/anna/pairs/{place}", said)[0] == 200
        (kept,) = {answer.rater for answer in study.answers()}
        assert kept == "anna" and len(study.answers()) == len(study.facts)
        for answer in study.answers():
            # The clip on the left is the first one unless they are swapped: 0 stands for the first, 1 for the second.
            assert answer.value == (4 if study.plan.kind == "rate" else float(answer.swapped))


def test_nothing_tells_which_clip_is_which(study):
    with served(study) as address:
        said = [ask(address, "")[1], ask(address, "/raters/anna")[1], ask(address, "/raters/anna/pairs/0")[1]]
    text = b"".join(said).lower()
    assert not any(word in text for word in (b"good", b"bad", b"real", b"psnr", b"toy"))


@pytest.mark.parametrize(
    ("path", "said", "status"),
    [
        ("/raters/anna/pairs/0", {"answer": 6, "seconds": 1}, 422),
        ("/raters/anna/pairs/0", {"answer": True, "seconds": 1}, 422),
        ("/raters/anna/pairs/0", {"answer": "left", "seconds": 1}, 422),
        ("/raters/anna/pairs/0", {"answer": 3, "seconds": -1}, 422),
        ("/raters/anna/pairs/0", {"answer": 3, "seconds": "1"}, 422),
        ("/raters/anna/pairs/0", {"answer": 3}, 422),
        ("/raters/anna/pairs/0", [3], 422),
        ("/raters/anna/pairs/0", b"{" * 900, 422),
        ("/raters/anna/pairs/0", b"x" * 10**5, 422),
        ("/raters/anna/pairs/6", {"answer": 3, "seconds": 1}, 404),
        ("/raters/anna/pairs/-1", {"answer": 3, "seconds": 1}, 404),
        ("/raters/..%2fx/pairs/0", {"answer": 3, "seconds": 1}, 404),
        (f"/raters/{'a' * 99}/pairs/0", {"answer": 3, "seconds": 1}, 404),
        ("/raters/a%20b", None, 422),
        ("/raters/anna/pairs/0/middle.png", None, 404),
    ],
)
def test_what_is_no_answer(study, path, said, status):
    with served(study) as address:
        assert ask(address, path, said)[0] == status
    assert study.answers() == []


def test_a_token_keeps_others_out(study):
    with served(study, token="correcthorsebattery") as address:
        assert ask(address, "")[0] == ask(address, "/raters/anna/pairs/0/left.png")[0] == 401
        assert ask(address, "/raters/anna/pairs/0", {"answer": 3, "seconds": 1})[0] == 401
    assert study.answers() == []


@pytest.mark.slow
@NEEDS_CHROMIUM
@pytest.mark.parametrize("study", ["rate"], indirect=True)
def test_a_participant_with_the_keyboard_alone(study, open_page):
    with served(study) as address:
        page = open_page(address)
        begin(page, "anna")
        assert "How alike" in page.page.inner_text("#question")
        page.until("['left', 'right'].every(side => document.getElementById(side).dataset.frame === '5')")
        assert len(set(page.pixels("#left")[::4])) > 1
        for place, key in enumerate("352"):
            page.until(f"document.body.dataset.shown === '{place}'")
            page.page.keyboard.press(key)
        page.until("document.body.dataset.shown === '3'")
        page.page.keyboard.press("Backspace")
        page.until("document.body.dataset.shown === '2'")
        assert page.page.get_attribute("#answers [aria-pressed=true]", "data-answer") == "2"
        page.page.keyboard.press("1")
        page.until("document.body.dataset.shown === '3'")
        order, given = trials(study.plan.seed, "anna", 6), values(study)
        assert [given.get(number) for number, _ in order] == [3, 5, 1, None, None, None]
        page.page.reload()
        page.until("document.body.dataset.shown === '3'")
        for place in (3, 4, 5):
            page.until(f"document.body.dataset.shown === '{place}'")
            page.page.keyboard.press("4")
        page.page.wait_for_selector("#done", state="visible")
        assert page.page.inner_text("#progress") == "6 of 6 answered"
        assert sorted(values(study).values()) == [1, 3, 4, 4, 4, 5]


@pytest.mark.slow
@NEEDS_CHROMIUM
@pytest.mark.parametrize("study", ["choose"], indirect=True)
def test_choosing_by_arrow_keys(study, open_page):
    with served(study) as address:
        page = open_page(address)
        begin(page, "ben")
        order = trials(study.plan.seed, "ben", 4)
        for place, key in enumerate(("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowRight")):
            page.until(f"document.body.dataset.shown === '{place}'")
            assert study.facts[order[place][0]].action in page.page.inner_text("#question")
            page.page.keyboard.press(key)
        page.page.wait_for_selector("#done", state="visible")
    given = values(study)
    for (number, swapped), side in zip(order, (0, 1, 0.5, 1), strict=True):
        assert given[number] == (1 - side if swapped else side)


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_a_killed_server_loses_nothing_and_the_page_goes_on(study, open_page):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = open_page(f"http://127.0.0.1:{port}")
    with command(study, port) as process:
        begin(page, "anna")
        page.page.keyboard.press("2")
        page.until("document.body.dataset.shown === '1'")
        process.kill()
        process.wait()
        page.page.keyboard.press("5")
        page.page.wait_for_selector("#trouble", state="visible")
    assert list(values(study).values()) == [2]
    with command(study, port):
        page.until("document.body.dataset.shown === '2'")
        assert page.page.is_hidden("#trouble") and list(values(study).values()) == [2, 5]
    page.page.close()
    assert all("ERR_CONNECTION" in line for line in page.wrong)  # the browser's own notes
    page.wrong.clear()


def begin(page: Page, name: str) -> None:
    page.page.goto(page.address)
    page.page.wait_for_selector("#rater", state="visible")
    page.page.keyboard.type(name)  # the field has the focus, and what is there is selected
    page.page.keyboard.press("Enter")
    page.until("document.body.dataset.shown === '0'")


def values(study: StudyFile) -> dict[int, float]:
    return {answer.sample: answer.value for answer in study.answers()}


@contextmanager
def command(study: StudyFile, port: int) -> Iterator[subprocess.Popen]:
    words = [sys.executable, "-m", "genie_gym", "study", "run", "--file", str(study.path), "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            for line in process.stdout:
                if "take part at" in line:
                    break
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(WAIT) == 0
