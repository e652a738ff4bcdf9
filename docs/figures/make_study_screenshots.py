"""Makes the screenshots of `genie-gym study` and `genie-gym annotate`: python docs/figures/make_study_screenshots.py.

The study compares the shipped Airstriker model with itself at a higher sampling temperature, on episodes recorded for
it, in the folder that `python -m benchmarks.quality.study --work FOLDER` leaves.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
DESKTOP = {"width": 1280, "height": 800}
LOADING = 300.0  # seconds


@contextmanager
def served(*words: str) -> Iterator[str]:
    """Run a command that serves a page; give its address."""
    command = [sys.executable, "-m", "genie_gym", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = next(filter(None, (re.search(r"at (http\S+)", line) for line in server.stdout)))
        yield found[1]
        server.send_signal(signal.SIGINT)


def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript expression is true; the page itself may evaluate none."""
    ends = time.monotonic() + LOADING
    while not page.evaluate(condition):
        if time.monotonic() > ends:
            raise SystemExit(f"this did not happen: {condition}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("study-work"), help="folder of the study's file, rate.sqlite")
    parser.add_argument("--game", default="SuperMarioBros", help="game whose annotation is shown")
    parser.add_argument("--only", choices=("study", "annotate"), help="one of both")
    options = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page(viewport=DESKTOP)
        if options.only != "annotate":
            copy = shutil.copy(options.work / "rate.sqlite", folder)
            with served("study", "run", "--file", str(copy)) as address:
                page.goto(address)
                page.fill("#rater", "anna")
                page.keyboard.press("Enter")
                for place in range(3):
                    until(page, f"document.body.dataset.shown === '{place}'")
                    page.keyboard.press("4")
                until(page, "document.body.dataset.shown === '3'")
                until(page, "document.getElementById('left').dataset.frame >= 9")
                page.screenshot(path=HERE / "study-rate.png")
        if options.only != "study":
            with served("annotate", options.game, "--file", str(Path(folder) / "table.csv")) as address:
                page.goto(address)
                until(page, "document.body.dataset.shown")
                until(page, "document.getElementById('RIGHT-held').dataset.frame >= 10")
                page.screenshot(path=HERE / "annotate.png")
        browser.close()


if __name__ == "__main__":
    main()
