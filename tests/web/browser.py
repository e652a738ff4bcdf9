"""Chromium, and a page in it that is looked at and used."""

import shutil
import time

import pytest

from tests.web.visits import WAIT

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
NEEDS_CHROMIUM = pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")
QUIET = ("sandbox", "first-run", "default-browser-check")
WITHOUT = ("gpu", "quic", "background-networking", "component-update", "sync", "dev-shm-usage")
ARGUMENTS = [*(f"--no-{name}" for name in QUIET), *(f"--disable-{name}" for name in WITHOUT)]
PIXELS = """canvas => {
    const paper = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    paper.drawImage(canvas, 0, 0);
    return Array.from(paper.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


class Page:
    """A page, and what it complained of or asked other hosts for."""

    def __init__(self, page, address: str):
        self.page, self.address, self.wrong, self.elsewhere = page, address, [], []
        page.on("console", lambda message: message.type in ("error", "warning") and self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda opened: self._note(opened.url.replace("ws://", "http://")))

    def _note(self, url: str) -> None:
        if not url.startswith((f"{self.address}/", "blob:", "data:")):
            self.elsewhere.append(url)

    def until(self, what: str, *arguments: object) -> None:
        """Wait until a JavaScript expression is true."""
        ends = time.monotonic() + WAIT
        while not self.page.evaluate(what, *arguments):
            assert time.monotonic() < ends, (what, self.page.inner_text("body"), self.wrong)
            time.sleep(0.02)

    def pixels(self, canvas: str) -> list[int]:
        """The pixels of a canvas, RGBA."""
        return self.page.eval_on_selector(canvas, PIXELS)
