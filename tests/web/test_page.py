"""The page itself, in Chromium: what a person does with it, and what it must never do."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")

from genie_gym.envs import WorldModelEnv
from genie_gym.utils.images import letterbox
from genie_gym.web.protocol import read_play
from tests.web.browser import NEEDS_CHROMIUM, Page
from tests.web.visits import WAIT, serving

pytestmark = [
    pytest.mark.slow,
    NEEDS_CHROMIUM,
]


class PlayPage(Page):
    """A page that is played on."""

    def play(self, address: str = "#world=Toy-Numpy", steps: int = 5) -> "PlayPage":
        """Open the address and let the dream go on for some steps."""
        self.page.goto(f"{self.address}/{address}")
        self.until(f"document.getElementById('dream').dataset.step >= {steps}")
        return self

    @property
    def step(self) -> int:
        return int(self.page.evaluate("document.getElementById('dream').dataset.step"))

    @property
    def held(self) -> str:
        """The names of the actions shown as held."""
        return self.page.evaluate(
            "[...document.querySelectorAll('#held .on')].map(chip => chip.firstChild.textContent).join()"
        )

    def picture(self) -> np.ndarray:
        """The dream as it is shown, uint8 (s, s, 3)."""
        pixels = np.array(self.pixels("#dream-picture"), np.uint8)
        side = round((len(pixels) / 4) ** 0.5)
        return pixels.reshape(side, side, 4)[..., :3]

    def pause(self) -> None:
        """Pause, and wait until nothing moves."""
        self.page.keyboard.press("p")
        self.until("document.getElementById('message').textContent.startsWith('Paused')")
        before = -1
        while self.step != before:
            before = self.step
            time.sleep(0.2)

    def shared(self) -> dict[str, str]:
        """What the link to this dream says."""
        self.page.click("#share")
        self.until("document.getElementById('share').dataset.link")
        link = self.page.get_attribute("#share", "data-link")
        self.page.evaluate("delete document.getElementById('share').dataset.link")
        return {name: value for name, (value,) in parse_qs(urlsplit(link).fragment).items()} | {"link": link}


PAGE = PlayPage


def frames_of(world: str, seed: int, actions: list[int], **options) -> list[np.ndarray]:
    env = WorldModelEnv(checkpoint=world, device="cpu")
    return [env.reset(seed=seed, options=options)[0], *(env.step(action)[0] for action in actions)]


def same(shown: np.ndarray, expected: np.ndarray) -> bool:
    return shown.shape == expected.shape and np.abs(shown.astype(int) - expected).max() <= 1


def actions_of(link: dict[str, str]) -> list[int]:
    return [taken.action for taken in read_play(link["play"], 4, 1.0)] if "play" in link else []  # at the first frame


def test_the_gallery_shows_moving_worlds_and_opens_them(served, open_page):
    page = open_page(served.address)
    page.page.goto(served.address)
    page.until("document.querySelector('.world img')?.naturalHeight > 0")
    assert page.page.inner_text(".world b") == "Toy"
    first = page.page.locator(".world").screenshot()
    page.until("getComputedStyle(document.querySelector('.world img')).transform !== 'none'")
    time.sleep(0.8)
    assert page.page.locator(".world").screenshot() != first
    page.page.click(".world")
    page.until("document.getElementById('dream').dataset.step > 3")


def test_keys_move_the_player_as_in_the_environment(served, world, open_page):
    page = open_page(served.address).play()
    for key, name in (("ArrowRight", "RIGHT"), ("ArrowLeft", "LEFT")):
        page.page.keyboard.down(key)
        page.until(
            "name => [...document.querySelectorAll('#held .on')].some(c => c.firstChild.textContent === name)", name
        )
        time.sleep(0.4)
        page.page.keyboard.up(key)
    page.until("document.querySelector('#held .on').firstChild.textContent === 'NOOP'")
    page.pause()
    link = page.shared()
    actions = actions_of(link)
    assert {0, 1, 2} <= set(actions) and len(actions) == page.step
    frames = frames_of(world, int(link["seed"]), actions)
    assert same(page.picture(), frames[-1]) and not same(frames[-1], frames[0])


def test_rewind_and_single_steps_are_exact(served, world, open_page):
    page = open_page(served.address).play(steps=20)
    page.pause()
    before = page.step
    page.page.keyboard.down("Backspace")
    page.until(f"document.getElementById('dream').dataset.step <= {before - 7}")
    page.page.keyboard.up("Backspace")
    time.sleep(0.3)
    link, step = page.shared(), page.step
    assert step < before and len(actions_of(link)) == step
    frames = frames_of(world, int(link["seed"]), actions_of(link))
    assert same(page.picture(), frames[-1])
    page.page.keyboard.press(".")
    page.until(f"document.getElementById('dream').dataset.step == {step + 1}")
    page.page.click("#step")
    page.until(f"document.getElementById('dream').dataset.step == {step + 2}")
    frames = frames_of(world, int(link["seed"]), actions_of(page.shared()))
    assert len(frames) == step + 3 and same(page.picture(), frames[-1])


def test_overlays_are_drawn_and_can_be_switched_off(served, open_page):
    page = open_page(served.address).play()
    assert not page.page.is_visible("#heat")
    page.page.check("#show-heat")
    page.page.wait_for_selector("#heat", state="visible")
    page.until("document.getElementById('heat').width === 4")  # it has been drawn: a pixel for each of 4x4 tokens
    alpha = np.array(page.pixels("#heat")).reshape(-1, 4)[:, 3]
    assert len(alpha) == 16 and len(set(alpha)) > 1
    for plot in ("reward-plot", "end-plot"):
        assert np.array(page.pixels(f"#{plot}")).any()
    page.page.uncheck("#show-plots")
    assert not page.page.is_visible("#reward-plot")
    page.page.uncheck("#show-heat")
    page.page.wait_for_selector("#heat", state="hidden")


def test_two_visitors_and_a_reload(served, open_page):
    one, two = open_page(served.address).play(), open_page(served.address).play()
    two.until("document.getElementById('speed').textContent.includes('2 dreams')")
    before = two.step
    one.page.reload()
    one.until("document.getElementById('dream').dataset.step > 3")
    two.until(f"document.getElementById('dream').dataset.step > {before + 5}")


def test_a_link_plays_the_same_dream_again(served, open_page):
    page = open_page(served.address).play(steps=3)
    page.page.keyboard.down("ArrowRight")
    time.sleep(0.6)
    page.page.keyboard.up("ArrowRight")
    page.pause()
    link = page.shared()
    other = open_page(served.address).play(urlsplit(link["link"])._replace(scheme="", netloc="", path="").geturl(), 0)
    other.until(f"document.getElementById('dream').dataset.step == {page.step}")
    other.until("document.getElementById('message').textContent.startsWith('Paused')")
    assert (other.picture() == page.picture()).all()


def test_a_picture_that_is_dropped_begins_a_dream_and_is_in_the_link(served, world, open_page):
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    page = open_page(served.address).play()
    seed = page.page.input_value("#seed")
    page.page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "start.png", {type: "image/png"}));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        list(png),
    )
    page.until("seed => document.getElementById('seed').value !== seed", seed)
    page.until("document.getElementById('dream').dataset.step > 0")  # or the link would have no end to stop at
    page.pause()
    link = page.shared()
    assert "picture" in link
    frames = frames_of(world, int(link["seed"]), actions_of(link), prompt=letterbox(picture))
    assert same(page.picture(), frames[-1])
    other = open_page(served.address).play(urlsplit(link["link"])._replace(scheme="", netloc="", path="").geturl(), 0)
    other.until(f"document.getElementById('dream').dataset.step == {page.step}")
    assert same(other.picture(), frames[-1])


def test_the_real_game_is_shown_beside_the_dream(served, open_page):
    page = open_page(served.address).play()
    page.page.check("#use-real")
    page.page.wait_for_selector("#real", state="visible")
    page.until("document.getElementById('dream').dataset.step > 3")
    assert np.array(page.pixels("#real-picture")).reshape(-1, 4)[:, :3].std() > 1


def test_touch_on_a_phone(served, open_page):
    phone = {"viewport": {"width": 412, "height": 840}, "is_mobile": True, "has_touch": True}
    page = open_page(served.address, **phone).play()
    button = page.page.locator("#touch [data-key=right]")
    box = button.bounding_box()
    assert box["y"] + box["height"] < 840 and page.page.evaluate("document.body.scrollWidth") <= 412
    page.page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.page.mouse.down()
    page.until("document.querySelector('#held .on').firstChild.textContent === 'RIGHT'")
    page.page.mouse.up()
    page.until("document.querySelector('#held .on').firstChild.textContent === 'NOOP'")


def test_a_gamepad(served, open_page):
    page = open_page(served.address)
    page.page.add_init_script(
        """window.pad = {axes: [0, 0], buttons: Array.from({length: 17}, () => ({pressed: false}))};
           navigator.getGamepads = () => [window.pad];"""
    )
    page.play()
    page.page.evaluate("dispatchEvent(new Event('gamepadconnected'))")
    for press, release, name in (
        ("pad.axes = [-1, 0]", "pad.axes = [0, 0]", "LEFT"),
        ("pad.buttons[15].pressed = true", "pad.buttons[15].pressed = false", "RIGHT"),
        ("pad.buttons[0].pressed = true", "pad.buttons[0].pressed = false", "JUMP"),
    ):
        page.page.evaluate(press)
        page.until("name => document.querySelector('#held .on').firstChild.textContent === name", name)
        page.page.evaluate(release)
        page.until("document.querySelector('#held .on').firstChild.textContent === 'NOOP'")


def test_garbage_from_a_page_harms_no_other(served, open_page):
    page, bad = open_page(served.address).play(), open_page(served.address).play()
    bad.page.evaluate(
        """() => new Promise(done => {
            const socket = new WebSocket(`ws://${location.host}/play`);
            socket.onopen = () => {
                for (const message of ["{", "[]", '{"type":"start","world":"\\u0000","seed":1}', new Uint8Array(9)])
                    socket.send(message);
                socket.send("x".repeat(3e6));
            };
            socket.onclose = done;
        })"""
    )
    before = page.step
    page.until(f"document.getElementById('dream').dataset.step > {before + 5}")


def test_the_token_is_asked_for_and_leaves_the_address(world, open_page):
    token = "correcthorsebattery"
    with serving(world, token=token) as server:
        page = open_page(server.address)
        page.page.goto(f"{server.address}/?token={token}#world=Toy-Numpy")
        page.until("document.getElementById('dream').dataset.step > 1")
        assert token not in page.page.url
        other = open_page(server.address)
        other.page.goto(f"{server.address}/#world=Toy-Numpy")
        other.page.fill("#token-given", "wrong")
        other.page.keyboard.press("Enter")
        other.page.wait_for_selector("#token-wrong", state="visible")
        other.page.fill("#token-given", token)
        other.page.keyboard.press("Enter")
        other.until("document.getElementById('dream').dataset.step > 1")
        assert all("401" in line for line in other.wrong)  # the browser's own note
        other.wrong.clear()


@contextmanager
def command(world: str, port: int) -> Iterator[subprocess.Popen]:
    words = [sys.executable, "-m", "genie_gym", "serve", world, "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        for line in process.stdout:
            if "play at" in line:
                break
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_page_comes_back_when_the_server_was_killed(world, open_page):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = open_page(f"http://127.0.0.1:{port}")
    with command(world, port) as process:
        page.play()
        process.kill()
        page.until("document.getElementById('message').textContent.includes('lost')")
    with command(world, port) as process:
        page.until("document.getElementById('connection').classList.contains('on')")
        page.until("document.getElementById('message').hidden")
        page.until("document.getElementById('dream').dataset.step > 3")
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 0
    page.page.close()
    assert all(re.search("ERR_CONNECTION|WebSocket", line) for line in page.wrong)  # the browser's own notes
    page.wrong.clear()
