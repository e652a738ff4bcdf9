"""The page in Chromium: its dream is the environment's, it obeys keys, and asks no other host for anything."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.web_export import ExportWebConfig, export_web
from genie_gym.web_export.runtime import runtime_files
from genie_gym.world_model import Checkpoint

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DREAM = """async ([context, seed, actions]) => {
  const frames = [await dream.start(context, seed)];
  for (const action of actions) frames.push((await dream.step(action)).frame);
  return frames.map((frame) => Array.from(frame));
}"""


@pytest.fixture(scope="module")
def page(toy_checkpoint, tmp_path_factory) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what the browser said and asked for."""
    for package in ("playwright", "onnxscript"):
        pytest.importorskip(package)
    if CHROMIUM is None or shutil.which("npm") is None:
        pytest.skip("Chromium or npm is not installed")
    folder = tmp_path_factory.mktemp("page")
    export_web(ExportWebConfig(checkpoint=toy_checkpoint, out=folder, contexts=3))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.mark.slow
def test_its_dream_is_that_of_the_model(page, browser, toy_checkpoint):
    loaded = Checkpoint.load(toy_checkpoint)
    contexts, seed, actions = loaded.initial_contexts, 2**40 + 7, [0, 3, 3, 1, 2, 0, 1, 1]
    state, first = loaded.model.start(contexts["frames"][2:3], contexts["actions"][2:3], torch.tensor([seed]))
    expected = [first[0].numpy()]
    for action in actions:
        expected.append(loaded.model.step(state, torch.tensor([action]), loaded.sampling).frames[0].numpy())
    tab = browser.new_page()
    tab.goto(f"{page}/?still")
    tab.wait_for_function("document.body.dataset.ready == 'yes'", timeout=60_000)
    frames = np.array(tab.evaluate(DREAM, [2, seed, actions])).reshape(-1, 64, 64, 3)
    assert np.abs(frames - np.stack(expected)).max() <= 1


@pytest.mark.slow
def test_it_plays_by_keys_and_asks_no_other_host(page, browser):
    tab, heard, asked = browser.new_page(), [], set()
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("request", lambda request: asked.add(request.url.rsplit("/", 1)[0]))
    tab.goto(page)
    tab.wait_for_function("window.dream?.steps > 0", timeout=60_000)
    tab.keyboard.down("ArrowRight")
    tab.wait_for_function("document.getElementById('facts').textContent.startsWith('RIGHT')", timeout=20_000)
    tab.keyboard.up("ArrowRight")
    tab.click("#pause")
    tab.wait_for_timeout(500)
    steps = tab.evaluate("dream.steps")
    tab.wait_for_timeout(500)
    assert tab.evaluate("dream.steps") == steps
    assert not heard and asked == {page}


def test_a_folder_of_other_files_is_left_alone(toy_checkpoint, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        export_web(ExportWebConfig(checkpoint=toy_checkpoint, out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"[1]", "a pipe", "/dev/zero"])
def test_nor_is_one_whose_description_is_hostile(content, toy_checkpoint, tmp_path):
    world = tmp_path / "world.json"
    if isinstance(content, bytes):
        world.write_bytes(content)
    elif content == "a pipe":
        os.mkfifo(world)
    else:
        world.symlink_to(content)
    with pytest.raises(ConfigError, match="holds other files"):
        export_web(ExportWebConfig(checkpoint=toy_checkpoint, out=tmp_path))


def test_no_pipe_and_no_device_is_read_for_a_package(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for package in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            runtime_files(package)


def test_another_package_than_the_tested_one_is_refused(tmp_path):
    other = tmp_path / "onnxruntime-web-1.30.0.tgz"
    for content in (None, b"", b"something else"):
        if content is not None:
            other.write_bytes(content)
        with pytest.raises(ConfigError, match="npm pack"):
            runtime_files(other)
