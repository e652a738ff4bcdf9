"""How large a world on a web page is, and how fast it dreams there: `python -m benchmarks.speed.web_page`.

`genie-gym export-web` writes the folder, Python's own web server serves it, and headless Chromium opens it. Measured
are the size of the folder, the frames a second as the page plays them (it keeps to the game's own speed), and the
frames a second of steps one after another, the most that this machine can do. Chromium draws without a GPU.
"""

import argparse
import functools
import http.server
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym.web_export import ExportWebConfig, export_web

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
LOADING = 120_000  # ms
# Milliseconds of each of some steps, one after another; another dream begins where one ends.
STEPS = """async ([steps, actions]) => {
  const taken = [];
  await dream.start(0, 0);
  for (let i = 0; i < steps; i++) {
    const began = performance.now();
    const { terminated } = await dream.step(Math.floor(i / 8) % actions);
    taken.push(performance.now() - began);
    if (terminated) await dream.start(0, i);
  }
  return taken;
}"""
FRAMES = """() => {
  const put = CanvasRenderingContext2D.prototype.putImageData;
  window.drawn = [];
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    window.drawn.push(performance.now());
    return put.apply(this, given);
  };
}"""


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Airstriker-Genesis", help="game with weights, or a checkpoint folder")
    parser.add_argument("--steps", type=int, default=200, help="steps one after another")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the page plays")
    parser.add_argument("--runtime", type=Path, help="what npm pack onnxruntime-web saved; npm fetches it by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "web_page.json", help="file of the figures")
    return parser.parse_args()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as any web server does; give its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def played(page: Page, address: str, seconds: float) -> Figures:
    """Return the rate of the frames that the page draws while nobody presses a key, and how long it took to load."""
    page.add_init_script(f"({FRAMES})()")
    started = time.perf_counter()
    page.goto(address)
    page.wait_for_function("window.dream?.steps > 0", timeout=LOADING)
    loaded = time.perf_counter() - started
    page.wait_for_timeout(2000)  # what the first steps compile is not measured
    page.evaluate("window.drawn.length = 0")
    page.wait_for_timeout(1000 * seconds)
    drawn = page.evaluate("window.drawn")
    rate = 1000 * (len(drawn) - 1) / (drawn[-1] - drawn[0])
    return {
        "game_frames_per_second": page.evaluate("dream.world.frames_per_second"),
        "played_frames_per_second": round(rate, 2),
        "seconds_until_the_first_frame": round(loaded, 2),
    }


def stepped(page: Page, address: str, steps: int) -> Figures:
    """Return the rate of steps one after another."""
    page.goto(f"{address}/?still")
    page.wait_for_function("document.body.dataset.ready == 'yes'", timeout=LOADING)
    actions = page.evaluate("dream.world.actions.length")
    page.evaluate(STEPS, [8, actions])
    before = processor_seconds()
    taken = sorted(page.evaluate(STEPS, [steps, actions]))
    return {
        "most_frames_per_second": round(1000 * len(taken) / sum(taken), 2),
        "processor_ms_a_frame": round(1000 * (processor_seconds() - before) / steps, 1),
        "ms_a_frame_fastest_tenth": round(taken[len(taken) // 10], 2),
        "ms_a_frame_median": round(taken[len(taken) // 2], 2),
        "ms_a_frame_95_percent": round(taken[int(0.95 * len(taken))], 2),
    }


def processor_seconds() -> float:
    """Return the processor's time of all processes that this one has started, the browser's among them, and theirs."""
    fields = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _, parent, *more = stat.read_text().rpartition(")")[2].split()
            fields[int(stat.parent.name)] = (int(parent), sum(map(int, more[9:11])))
    found, ticks = {os.getpid()}, 0
    while new := {process for process, (parent, _) in fields.items() if parent in found} - found:
        ticks += sum(fields[process][1] for process in new)
        found |= new
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    options, machine = read_options(), machine_facts()
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "page"
        export_web(ExportWebConfig(checkpoint=options.game, out=folder, runtime=options.runtime))
        sizes = {path.name: round(path.stat().st_size / 1e6, 2) for path in sorted(folder.iterdir())}
        with served(folder) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
            figures = played(browser.new_page(), address, options.seconds)
            figures |= stepped(browser.new_page(), address, options.steps)
            figures["browser"] = f"Chromium {browser.version}, headless, without a GPU"
            browser.close()
    settings = {name: getattr(options, name) for name in ("game", "steps", "seconds")}
    total = {"megabytes": round(sum(sizes.values()), 2), "files_megabytes": sizes}
    result = settings | total | figures | {"load_average_at_the_end": round(os.getloadavg()[0], 2)}
    print(", ".join(f"{name} {value}" for name, value in (total | figures).items() if name != "files_megabytes"))
    print(f"results in {write_result(options.out, result, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
