"""All that is to be done on a lent GPU, in one command: `python -m benchmarks.speed.gpu --data FOLDER --out FOLDER`.

Runs the tests marked gpu, measures imagination by batch size and training, and trains a world model on a recording with
the rest of its time. Run it again with the same --out to train on: --fit-minutes is the time of the whole training,
--minutes that of one call, which it keeps to. Everything is in --out, also what was done before a call was cut off:
gpu.json and gpu.md with the figures, tests.txt, and the folders run and checkpoint of the training.
"""

import argparse
import multiprocessing
import queue
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts, matmul_peak
from benchmarks.common.results import Figures, markdown_table, write_result
from benchmarks.speed import timing
from benchmarks.speed.untrained import SEED, save_untrained
from genie_gym.training.presets import PRESETS, get_preset

SAMPLING_STEPS = {"tiny": 1, "tiny-transformer": 1, "small": 4, "paper": 8}
SECONDS = 3.0  # of one measurement of imagination
ROUNDS = 3
SHARES = {"tests": 0.2, "speed": 0.5}  # of the time, at most; what they leave is the training's
SAVING = 20.0  # seconds that an interrupted training is given to save


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder of everything")
    parser.add_argument("--minutes", type=float, default=9.0, help="time of this call")
    parser.add_argument("--data", type=Path, help="recording to train on; none is trained without it")
    parser.add_argument("--game", help="name of its game; that in the recording by default")
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS), help="preset that is trained")
    parser.add_argument("--fit-minutes", type=float, default=60.0, help="time of the whole training, over all calls")
    parser.add_argument(
        "--speed-presets", nargs="*", default=["tiny", "paper", "small", "tiny-transformer"], choices=sorted(PRESETS)
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16, 64, 256, 1024])
    parser.add_argument("--no-compile", action="store_true", help="leave out everything compiled")
    parser.add_argument("--device", default="cuda", help="where all of it runs")
    return parser.parse_args()


def main() -> None:
    options, started = read_options(), time.monotonic()
    end = started + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    figures: Figures = {"device": options.device, "seed": SEED, "speed": {}}
    machine = machine_facts()

    def keep(**found: Any) -> None:
        figures.update(found)
        write_result(options.out / "gpu.json", figures, machine)
        (options.out / "gpu.md").write_text(page(figures, machine), encoding="utf-8")

    by = {part: started + 60 * options.minutes * share for part, share in SHARES.items()}
    keep(tests=run_tests(options.out / "tests.txt", by["tests"]))
    for name, row in measure_speed(options, by["tests"] + by["speed"] - started):
        print(f"{name}: {row}", flush=True)
        figures["speed"][name] = row
        keep()
    if options.data:
        keep(training=train(options, end))
    print(page(figures, machine))


def run_tests(log: Path, deadline: float) -> str:
    """Run the tests marked gpu; returns pytest's last line."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    with log.open("w", encoding="utf-8") as file:
        _run_until(deadline, command, file)
    lines = log.read_text(encoding="utf-8").strip().splitlines()
    return lines[-1] if lines else "no output"


def measure_speed(options: argparse.Namespace, deadline: float) -> Iterator[tuple[str, Figures]]:
    """Measure until the deadline, what matters most first: eager steps, training, then what has to be compiled."""
    with tempfile.TemporaryDirectory() as folder:
        jobs: list[tuple[str, Callable, tuple]] = [("matrix products", _peak, (options.device,))]
        checkpoints = {p: str(save_untrained(p, Path(folder) / p, SAMPLING_STEPS[p])) for p in options.speed_presets}
        for compiled in (False,) if options.no_compile else (False, True):
            for preset, checkpoint in checkpoints.items():
                how = {"device": options.device, "precision": "auto", "compile": compiled}
                way = "compiled" if compiled else "eager"
                for batch in options.batches:
                    name = f"{preset}, imagined frames, batch {batch}, {way}"
                    jobs.append((name, timing.time_imagination, (checkpoint, batch, SECONDS, how)))
                if not compiled:
                    batch = get_preset(preset).dynamics_training.batch_size
                    jobs.append((f"{preset}, training", _training, (preset, batch, options.device)))
        for name, function, args in jobs:
            found = _within(deadline - time.monotonic(), function, args)
            if found is not None:
                yield name, found


def _peak(device: str) -> Figures:
    return {"gflops": round(matmul_peak(device))}


def _training(preset: str, batch: int, device: str) -> Figures:
    """Clips of the dynamics' training a second, the time, operations and memory of a step."""
    step = timing.TrainingStep(preset, "dynamics", batch, device, "auto")
    seconds = [timing.timed(lambda: step(step.ours)) for _ in range(ROUNDS + 1)][1:]
    figures = {"clips_per_second": round(batch / median(seconds), 2), "batch_size": batch, "peak_mb": step.peak_mb()}
    return figures | {"p50_ms": round(1e3 * median(seconds), 1), "gflop": step.gflop()}


def _within(seconds: float, function: Callable, args: tuple) -> Figures | None:
    """Call a function in a process of its own, so that its memory is too; None if there is no time for it.

    A failure, such as too little memory for a batch, is a figure as well.
    """
    if seconds <= 0:
        return None
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_call, args=(results, function, args), daemon=True)
    process.start()
    try:
        return results.get(timeout=seconds)
    except queue.Empty:
        return {"error": "not done in time"}
    finally:
        process.kill()
        process.join()


def _call(results: Any, function: Callable, args: tuple) -> None:
    try:
        results.put(function(*args))
    except Exception as error:
        results.put({"error": (str(error).splitlines() or [type(error).__name__])[0][:200]})


def train(options: argparse.Namespace, deadline: float) -> Figures:
    """Train on the recording until the deadline, or to the end; an interrupted training is resumed by the next call."""
    from genie_gym.data import EpisodeDataset

    game = options.game or EpisodeDataset(options.data).header["game"]["name"]
    command = [sys.executable, "-m", "genie_gym", "train", game, "--data", str(options.data)]
    command += ["--preset", options.preset, "--minutes", str(options.fit_minutes)]
    command += ["--run", str(options.out / "run"), "--out", str(options.out / "checkpoint")]
    with (options.out / "training.txt").open("a", encoding="utf-8") as file:
        code = _run_until(deadline - SAVING, command, file)
    lines = (options.out / "training.txt").read_text(encoding="utf-8").strip().splitlines()
    return {"finished": code == 0, "preset": options.preset, "last_line": lines[-1] if lines else ""}


def _run_until(deadline: float, command: list[str], output: Any) -> int:
    """Run a command, at the deadline ask it to save and stop; returns its exit code."""
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        return process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(SAVING)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def page(figures: Figures, machine: Figures) -> str:
    """Return the Markdown page."""
    peak = figures["speed"].get("matrix products", {}).get("gflops")
    heads = ["measurement", "per second", "p50 ms", "p99 ms", "of peak", "memory MB"]
    rows = [[name, *_cells(row, peak)] for name, row in figures["speed"].items()]
    training = figures.get("training")
    lines = [
        f"{machine['gpu'] or machine['cpu']}, torch {machine['torch']}, {machine['code']}, {machine['date']}",
        f"Tests marked gpu: {figures.get('tests', 'not run')}",
        markdown_table(heads, rows),
        f"Training of {training['preset']}: {training['last_line']}" if training else "",
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _cells(row: Figures, peak: float | None) -> list[Any]:
    if "error" in row:
        return [row["error"], "", "", "", ""]
    if "gflops" in row:
        return [f"{row['gflops']} GFLOP", "", "", "", ""]
    share = f"{row['gflop'] / row['p50_ms'] * 1e3 / peak:.1%}" if peak else ""
    training = "clips_per_second" in row
    rate = f"{row['clips_per_second']} clips, {row['batch_size']} at once" if training else row["frames_per_second"]
    return [rate, row["p50_ms"], row.get("p99_ms", ""), share, row["peak_mb"]]


if __name__ == "__main__":
    sys.exit(run_script(main))
