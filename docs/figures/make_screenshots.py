"""Makes the screenshots of `genie-gym serve` with Chromium: python docs/figures/make_screenshots.py [NAME ...]."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
WORLD = "Airstriker-Genesis"
KEYS = ("z", "ArrowRight", "z", "ArrowLeft")
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 412, "height": 839}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def play(page: Page, address: str, steps: int, *boxes: str) -> None:
    """Play with the keys until the dream has some steps; begin another where it ends before."""
    page.goto(f"{address}#world={WORLD}")
    page.wait_for_selector("#dream[data-step]", timeout=60_000)
    for box in boxes:
        page.evaluate("box => document.getElementById(box).click()", box)
    for key in KEYS * 200:
        if "ended" in page.inner_text("#message"):
            page.keyboard.press("Enter")
            time.sleep(2)
        if int(page.get_attribute("#dream", "data-step") or 0) >= steps:
            return
        page.keyboard.down(key)
        time.sleep(0.3)
        page.keyboard.up(key)
    raise SystemExit("no dream lasted that long")


def main() -> None:
    words = [sys.executable, "-m", "genie_gym", "serve", WORLD, "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        address = re.search(r"http\S+", server.stdout.readline())
        assert address is not None
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for name, options, steps, boxes in (
                ("serve-desktop", DESKTOP, 100, ("show-heat", "use-real")),
                ("serve-phone", PHONE, 70, ()),
            ):
                if name not in (sys.argv[1:] or [name]):
                    continue
                page = browser.new_page(**options)  # type: ignore[arg-type]
                play(page, address[0], steps, *boxes)
                page.evaluate("document.getElementById('speed').style.visibility = 'hidden'")  # of any machine
                page.screenshot(path=HERE / f"{name}.png")
                page.close()
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


if __name__ == "__main__":
    main()
