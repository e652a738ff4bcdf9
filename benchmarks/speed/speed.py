"""Speed of imagination, training and scoring: `python -m benchmarks.speed.speed`.

Measured are environments alone and in batches, eager and compiled; the naive scheme with the same weights; training;
and AutoExplore's scores. Each figure stands beside the share of the machine's measured matrix-product peak that it
uses. Writes speed.json, speed.md and speed.png to --out, by default benchmarks/results.

Each preset and batch is measured in a process of its own, so that its peak memory is its own; use a quiet machine.
"""

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts, matmul_peak
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_result
from benchmarks.speed import timing
from benchmarks.speed.timing import NAIVE, NAIVE_STEPS
from benchmarks.speed.untrained import SEED, save_untrained
from genie_gym.training.presets import get_preset

GPU_BATCHES = (1, 4, 16, 64, 256, 1024)
SCORED = 8  # environments that AutoExplore scores in one pass


@dataclass(frozen=True)
class Extent:
    """How much is measured of a preset.

    Attributes:
        sampling_steps: Sampling steps of a frame.
        batches: Batches on a CPU.
        compiled: Those that are measured compiled too; each takes minutes, of a larger model many.
        seconds: Approximate duration of one measurement of imagination.
        rounds: Rounds of all other measurements.
    """

    sampling_steps: int
    batches: tuple[int, ...]
    compiled: tuple[int, ...] = ()
    seconds: float = 12.0
    rounds: int = 3


EXTENTS = {
    "tiny": Extent(1, (1, 4, 16, 64), (1, 4, 16, 64), 8.0, 7),
    "tiny-transformer": Extent(1, (1, 4, 16, 64), (1, 4, 16, 64), 8.0, 7),
    "small": Extent(4, (1, 4, 16)),
    "paper": Extent(8, (1, 4), (1,), rounds=2),  # a batch of 64 would fill 24 GiB
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["tiny", "tiny-transformer", "paper"], choices=sorted(EXTENTS))
    parser.add_argument("--batches", nargs="+", type=int, help="1 to 64 by default, to 1024 on a GPU")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS), help="what to measure")
    parser.add_argument("--no-compile", action="store_true", help="leave out everything compiled")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    figures: Figures = {"threads": options.threads, "device": options.device, "seed": SEED}
    figures["peak_gflops"] = _alone(matmul_peak, options, options.device, options.precision)
    print(f"matrix products: {figures['peak_gflops']:.0f} GFLOP/s at best", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for preset in options.presets:
            checkpoint = str(save_untrained(preset, Path(folder) / preset, EXTENTS[preset].sampling_steps))
            figures[preset] = {}
            for name in options.parts:
                figures[preset][name] = PARTS[name](preset, checkpoint, options)
                print(f"{preset} {name}: {figures[preset][name]}", flush=True)
            write(figures, machine, options.out)  # what was measured is kept if the rest is interrupted
    print(page(figures))
    print(f"results in {options.out / 'speed.json'}")


def _alone(function: Callable, options: argparse.Namespace, *args: Any) -> Any:
    """Call a function in a new process with the number of threads asked for."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (options.threads,)) as pool:
        return pool.submit(function, *args).result()


def imagination(preset: str, checkpoint: str, options: argparse.Namespace) -> Figures:
    """Measure steps of the vector environment by batch size, eager and compiled."""
    found: Figures = {}
    for compiled in (False,) if options.no_compile else (False, True):
        on_cpu = EXTENTS[preset].compiled if compiled else EXTENTS[preset].batches
        for batch in options.batches or (on_cpu if options.device == "cpu" else GPU_BATCHES):
            how = {"device": options.device, "precision": options.precision, "compile": compiled}
            name = f"{'compiled' if compiled else 'eager'} {batch}"
            found[name] = _alone(timing.time_imagination, options, checkpoint, batch, EXTENTS[preset].seconds, how)
            print(f"{preset} {name}: {found[name]}", flush=True)
    return found


def naive(preset: str, checkpoint: str, options: argparse.Namespace) -> Figures:
    """Measure one frame of the naive scheme beside cached steps."""
    how = (options.device, options.precision, _compiles(preset, options))
    return _alone(timing.time_naive, options, checkpoint, *how, EXTENTS[preset].rounds)


def training(preset: str, checkpoint: str, options: argparse.Namespace) -> Figures:
    """Measure training steps of tokenizer and dynamics on the preset's batches (one clip for `paper` on a CPU)."""
    on_cpu = preset == "paper" and options.device == "cpu"
    batch_size = 1 if on_cpu else get_preset(preset).dynamics_training.batch_size
    how = (options.device, options.precision, not options.no_compile)
    return {
        part: _alone(timing.time_training, options, preset, part, batch_size, *how, EXTENTS[preset].rounds)
        for part in ("tokenizer", "dynamics")
    }


def rewards(preset: str, checkpoint: str, options: argparse.Namespace) -> Figures:
    """Measure AutoExplore's scores of several environments in one pass."""
    how = (options.device, options.precision, _compiles(preset, options))
    return _alone(timing.time_rewards, options, checkpoint, *how, SCORED, EXTENTS[preset].rounds)


def _compiles(preset: str, options: argparse.Namespace) -> bool:
    return not options.no_compile and (options.device != "cpu" or bool(EXTENTS[preset].compiled))


def write(figures: Figures, machine: Figures, out: Path) -> None:
    """Write speed.json, speed.md and speed.png."""
    write_result(out / "speed.json", figures, machine)
    (out / "speed.md").write_text(page(figures), encoding="utf-8")
    plot(figures, out / "speed.png")


def page(figures: Figures) -> str:
    """Return the Markdown page: a row for each measurement."""
    heads = ["measurement", "per second", "p50 ms", "p99 ms", "GFLOP", "of peak", "memory MB"]
    rows: list[list[Any]] = []
    for preset in (preset for preset in EXTENTS if preset in figures):
        for part, rows_of in ROWS.items():
            if part in figures[preset]:
                rows += rows_of(preset, figures[preset][part], figures["peak_gflops"])
    about = (
        f"{figures['threads']} threads, {figures['device']}, matrix products at best "
        f"{figures['peak_gflops']:.0f} GFLOP/s"
    )
    return f"{about}\n\n{markdown_table(heads, [row + [''] * (len(heads) - len(row)) for row in rows])}\n"


def _imagination_rows(preset: str, part: Figures, peak: float) -> list[list[Any]]:
    rows = []
    for name, row in part.items():
        share = row["gflop"] / row["p50_ms"] * 1e3 / peak
        cells = [row["frames_per_second"], row["p50_ms"], row["p99_ms"], row["gflop"], f"{share:.0%}", row["peak_mb"]]
        way, batch = name.split()
        rows.append([f"{preset}, imagined frames, batch {batch}, {way}", *cells])
    return rows


def _training_rows(preset: str, part: Figures, peak: float) -> list[list[Any]]:
    rows = []
    for network, row in part.items():
        for way, taken in row["step_ms"].items():
            what = f"{preset}, {network} training, clips of {row['frames_per_clip']}, {way}"
            cells = [f"{row['batch_size'] / taken * 1e3:.3f}", f"{taken:.1f}", "", "", "", ""]
            if way != NAIVE:
                cells[3:5] = row["gflop"], f"{row['gflop'] / taken * 1e3 / peak:.0%}"
            if way == "eager":
                cells[5] = row["peak_mb"]
            rows.append([what, *cells])
    return rows


def _reward_rows(preset: str, part: Figures, peak: float) -> list[list[Any]]:
    what = f"{preset}, AutoExplore scores, batch {part['batch_size']}"
    return [[f"{what}, {way}", rate] for way, rate in part["scores_per_second"].items()]


def _naive_rows(preset: str, part: Figures, peak: float) -> list[list[Any]]:
    rows = []
    for precision, taken in part["naive_ms"].items():
        what = (
            f"{preset}, naive in {precision}: whole window, {NAIVE_STEPS} steps; {part['ratio'][precision]} times as "
            f"long as ours, {part['cached_ms']} ms with {EXTENTS[preset].sampling_steps}"
        )
        rows.append([what, f"{1e3 / taken:.3f}", taken])
    return rows


def plot(figures: Figures, path: Path) -> None:
    """Plot frames per second over the batch size, if imagination was measured."""
    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.subplots()
    for preset in (preset for preset in EXTENTS if preset in figures):
        parts = figures[preset]
        for way in ("eager", "compiled"):
            rows = {int(n.split()[1]): r for n, r in parts.get("imagination", {}).items() if n.startswith(way)}
            if rows:
                rates = [row["frames_per_second"] for row in rows.values()]
                axes.plot(list(rows), rates, "o-", label=f"{preset}, {way}")
        for precision, taken in parts.get("naive", {}).get("naive_ms", {}).items():
            axes.plot(1, 1e3 / taken, "x", label=f"{preset}, naive in {precision}, {NAIVE_STEPS} steps")
    if axes.lines:
        axes.set(xscale="log", yscale="log", xlabel="environments in a batch", ylabel="frames per second")
        axes.legend()
        figure.savefig(path, dpi=110)


PARTS: dict[str, Callable] = {"imagination": imagination, "naive": naive, "training": training, "rewards": rewards}
ROWS: dict[str, Callable[[str, Figures, float], list[list[Any]]]] = {
    "imagination": _imagination_rows,
    "training": _training_rows,
    "rewards": _reward_rows,
    "naive": _naive_rows,
}

if __name__ == "__main__":
    sys.exit(run_script(main))
