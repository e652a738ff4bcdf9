"""How fast `genie-gym serve` is for 1, 4 and 16 visitors at once: `python -m benchmarks.speed.serving`.

The server runs in a process of its own, as users start it; the visitors are connections that acknowledge each frame as
the page does, but decode no picture. Every visitor changes its action twice a second or so. Measured are the frames a
second that each gets, and the time from the moment a visitor sends another action until the first frame made with it
has arrived. Times of the processor are those of the server.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_result

WARM_UP = 2.0  # seconds that are not measured
EVERY = (0.3, 0.7)  # seconds between changes of a visitor's action
ACTIONS = 2  # that take turns; every game has as many


@dataclass
class Measured:
    """What one visitor saw.

    Attributes:
        frames: Arrival of each frame, in seconds.
        latencies: Seconds from a change of the action to the first frame made with it.
        together: Dreams in the pass of each frame.
    """

    frames: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    together: list[int] = field(default_factory=list)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Airstriker-Genesis", help="game with weights, or a checkpoint folder")
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 4, 16], help="how many play at once")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each measurement")
    parser.add_argument("--upscale", action="store_true", help="let the upscaler draw every frame")
    parser.add_argument("--threads", type=int, help="CPU threads of the server; all cores but one by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "serving.json", help="file of the figures")
    return parser.parse_args()


async def visit(port: int, seed: int, world: str, upscale: bool, seconds: float) -> Measured:
    """Play for some seconds and return what was seen."""
    seen, rng = Measured(), np.random.default_rng(seed)
    async with connect(f"ws://127.0.0.1:{port}/play", max_size=None, compression=None) as socket:
        await socket.send(json.dumps({"type": "start", "world": world, "seed": seed, "upscale": upscale}))
        begins: float | None = None
        held, asked, change = 0, None, 0.0
        async for message in socket:
            if isinstance(message, str):
                continue
            now, header = time.perf_counter(), _header(message)
            await socket.send(json.dumps({"type": "ack", "frame": header["frame"]}))
            begins = now if begins is None else begins
            if header["ended"]:
                seed += 1000
                await socket.send(json.dumps({"type": "start", "world": world, "seed": seed, "upscale": upscale}))
                asked, change = None, now + EVERY[1]
                continue
            if now - begins > WARM_UP:
                seen.frames.append(now)
                seen.together.append(header["together"])
                if asked is not None and header["action"] == held:
                    seen.latencies.append(now - asked)
                    asked, change = None, now + rng.uniform(*EVERY)
                if asked is None and now > change:
                    held, asked = (held + 1) % ACTIONS, now
                    await socket.send(json.dumps({"type": "hold", "action": held}))
            if now - begins > WARM_UP + seconds:
                break
    return seen


def _header(message: bytes) -> dict[str, Any]:
    (length,) = struct.unpack(">I", message[:4])
    return json.loads(message[4 : 4 + length])


async def visit_together(count: int, port: int, world: str, options: argparse.Namespace) -> list[Measured]:
    visits = (visit(port, seed, world, options.upscale, options.seconds) for seed in range(count))
    return await asyncio.gather(*visits)


def measure(count: int, server: subprocess.Popen, port: int, world: str, options: argparse.Namespace) -> Figures:
    """Return the figures of a number of visitors."""
    before, started = _processor_seconds(server.pid), time.perf_counter()
    seen = asyncio.run(visit_together(count, port, world, options))
    taken, wall = _processor_seconds(server.pid) - before, time.perf_counter() - started
    rates = [(len(one.frames) - 1) / (one.frames[-1] - one.frames[0]) for one in seen]
    latencies = [1000 * value for one in seen for value in one.latencies]
    return {
        "visitors": count,
        "frames_per_second": round(median(rates), 2),
        "frames_per_second_slowest": round(min(rates), 2),
        "latency_ms_median": round(median(latencies), 1),
        "latency_ms_95_percent": round(float(np.quantile(latencies, 0.95)), 1),
        "changes": len(latencies),
        "dreams_in_a_pass": round(float(np.mean([value for one in seen for value in one.together])), 2),
        "processor_share": round(taken / wall, 2),
        "processor_ms_a_frame": round(1000 * taken / wall / sum(rates), 1),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _processor_seconds(process: int) -> float:
    """Return the time of the processor that a process has taken so far."""
    values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def start(options: argparse.Namespace) -> tuple[subprocess.Popen, int, str]:
    """Start a server; return it, its port and the id of its world."""
    words = [options.game, "--port", "0", "--visitors", str(max(options.visitors))]
    if options.threads is not None:
        words += ["--threads", str(options.threads)]
    server = subprocess.Popen([sys.executable, "-m", "genie_gym", "serve", *words], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    world = server.stdout.readline().split()[-1]
    address = re.search(r":(\d+)/", server.stdout.readline())
    assert address is not None, "the server did not start"
    return server, int(address[1]), world


def main() -> None:
    options, machine = read_options(), machine_facts()
    server, port, world = start(options)
    try:
        rows = [measure(count, server, port, world, options) for count in options.visitors]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    shared = {name: value for name, value in vars(options).items() if name not in ("out", "visitors")}
    heads = ("visitors", "frames/s", "of the slowest", "key to frame, median", "95 %", "dreams in a pass", "load")
    names = ("visitors", "frames_per_second", "frames_per_second_slowest", "latency_ms_median")
    names += ("latency_ms_95_percent", "dreams_in_a_pass", "load_average")  # type: ignore[assignment]
    print(markdown_table(heads, [[row[name] for name in names] for row in rows]))
    print(f"results in {write_result(options.out, shared | {'rows': rows}, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
