"""How fast everything is that takes time: `python benchmarks/speed.py`.

Dreams alone and in batches, as users make them, eager and compiled; the naive scheme on the same weights; training;
scoring. Each figure stands beside the share of the machine's measured matrix-product peak that it makes use of. Writes
speed.json, speed.md and speed.png below benchmarks/results, with the machine's facts.

Each size and batch is measured in a process of its own, so that its peak memory is its own; run it on a quiet machine.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from machine import RESULTS, machine_facts, matmul_peak, write_result
from naive import naive_loss, naive_step
from subjects import SEED, untrained
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from genie_gym.envs import WorldModelVectorEnv
from genie_gym.fit import preset
from genie_gym.fit.stages import token_batch
from genie_gym.frames import to_model
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.precision import autocast, resolve
from genie_gym.rewards import AutoExplore
from genie_gym.world_model.weights import load_weights

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SAMPLING_STEPS = {"tiny": 1, "small": 4, "paper": 8}
COMPILED = {"tiny": [1, 4, 16, 64], "paper": [1]}  # on a CPU; each batch of a larger one compiles for minutes
BATCHES = {"tiny": [1, 4, 16, 64], "small": [1, 4, 16], "paper": [1, 4]}  # on a CPU; 64 of paper would fill 24 GiB
NAIVE_STEPS = 25  # sampling steps of the authors' code
SECONDS = {"tiny": 8.0, "small": 12.0, "paper": 12.0}  # one measurement of a dream lasts about this long
ROUNDS = {"tiny": 7, "small": 3, "paper": 2}  # of everything else


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["tiny", "paper"], choices=sorted(SAMPLING_STEPS))
    parser.add_argument("--batches", nargs="+", type=int, help="by default 1 to 64, to 1024 on a GPU")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled step out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options, facts = read_options(), machine_facts()
    figures: dict[str, Any] = {"threads": options.threads, "device": options.device, "seed": SEED}
    figures["peak_gflops"] = _alone(matmul_peak, options, options.device, options.precision)
    print(f"matrix products: {figures['peak_gflops']:.0f} GFLOP/s at best", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            place = str(untrained(size, Path(folder) / size, SAMPLING_STEPS[size]))
            figures[size] = {name: PARTS[name](size, place, options) for name in options.parts}
            write(figures, facts, options.out)  # what was measured is kept, should the rest be interrupted
    print(table(figures))
    print(f"kept in {options.out / 'speed.json'}")


def write(figures: dict[str, Any], facts: dict[str, Any], out: Path) -> None:
    write_result(out / "speed.json", figures, facts)
    (out / "speed.md").write_text(table(figures))
    plot(figures, out / "speed.png")


def _alone(function: Callable, options: argparse.Namespace, *args: Any) -> Any:
    """Calls a function in a fresh process with the wanted number of threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (options.threads,)) as pool:
        return pool.submit(function, *args).result()


def dreams(size: str, place: str, options: argparse.Namespace) -> dict[str, Any]:
    """Steps of the vector environment, by batch, eager and compiled."""
    found: dict[str, Any] = {}
    on_gpu = options.device != "cpu"
    for compiled in (False,) if options.no_compile else (False, True):
        on_cpu = COMPILED.get(size, []) if compiled else BATCHES[size]
        for batch in options.batches or ([1, 4, 16, 64, 256, 1024] if on_gpu else on_cpu):
            how = {"device": options.device, "precision": options.precision, "compile": compiled}
            name = f"{'compiled' if compiled else 'eager'} {batch}"
            found[name] = _alone(time_dream, options, place, batch, SECONDS[size], how)
            print(f"{size} {name}: {found[name]}", flush=True)
    return found


def time_dream(place: str, batch: int, seconds: float, how: dict[str, Any]) -> dict[str, Any]:
    """Steps for about so many seconds; the first ones, in which torch chooses and compiles, are not counted."""
    env = WorldModelVectorEnv(batch, checkpoint=place, ends=False, **how)
    env.reset(seed=SEED)
    rng, actions = np.random.default_rng(SEED), int(env.single_action_space.n)
    started = time.perf_counter()
    for _ in range(3):
        env.step(rng.integers(actions, size=batch))
    warm_up, times = time.perf_counter() - started, []
    while sum(times) < seconds or len(times) < 3:
        action = rng.integers(actions, size=batch)
        started = time.perf_counter()
        env.step(action)
        times.append(time.perf_counter() - started)
    p50, p99 = np.percentile(times, [50, 99])
    peak = _peak_memory(env._dreams.model.device)  # before the env whose operations are counted takes its own
    return {
        "frames_per_second": round(float(batch / p50), 2),
        "p50_ms": round(float(p50) * 1e3, 2),
        "p99_ms": round(float(p99) * 1e3, 2),
        "steps": len(times),
        "warm_up_seconds": round(warm_up, 1),
        "gflop": round(_flops(place, batch, how) / 1e9, 3),
        "peak_mb": round(peak / 2**20),
    }


def _flops(place: str, batch: int, how: dict[str, Any]) -> float:
    """Floating-point operations of one step, counted on the eager one."""
    env = WorldModelVectorEnv(batch, checkpoint=place, ends=False, **(how | {"compile": False}))
    env.reset(seed=SEED)
    with FlopCounterMode(display=False) as counter:
        env.step(np.zeros(batch, np.int64))
    return counter.get_total_flops()


def _peak_memory(device: torch.device) -> int:
    """Bytes: of the device, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def naive(size: str, place: str, options: argparse.Namespace) -> dict[str, Any]:
    """One frame by the naive scheme, beside cached steps, in turn."""
    compiled = not options.no_compile and (options.device != "cpu" or size in COMPILED)
    found = _alone(time_naive, options, place, options.device, options.precision, compiled, ROUNDS[size])
    print(f"{size} naive: {found}", flush=True)
    return found


def time_naive(place: str, device: str, precision: str, compiled: bool, rounds: int) -> dict[str, Any]:
    """The naive scheme in our precision, and in float32."""
    how: dict[str, Any] = {"device": device, "precision": precision, "compile": compiled}
    env = WorldModelVectorEnv(1, checkpoint=place, ends=False, **how)
    env.reset(seed=SEED)
    ours = str(resolve(precision, device)).removeprefix("torch.")
    models = {kind: load_weights(place, device, kind).model for kind in dict.fromkeys((ours, "float32"))}
    model = models[ours]
    window, n = model.dynamics.config.window, model.tokens
    tokens = torch.randint(model.dynamics.config.codes, (1, window, n), device=model.device)
    actions = torch.zeros(1, window + 1, dtype=torch.int64, device=model.device)
    slow: dict[str, list[float]] = {kind: [] for kind in models}
    fast = []
    for _ in range(window):  # a full cache
        env.step(np.zeros(1, np.int64))
    for _ in range(rounds):
        for kind, model in models.items():
            started = time.perf_counter()
            with autocast(model.dtype, model.device):
                naive_step(model, tokens, actions, NAIVE_STEPS).cpu()
            slow[kind].append(time.perf_counter() - started)
        for _ in range(5):
            started = time.perf_counter()
            env.step(np.zeros(1, np.int64))
            fast.append(time.perf_counter() - started)
    cached, naively = float(np.median(fast)), {kind: float(np.median(times)) for kind, times in slow.items()}
    return {
        "compiled": compiled,
        "cached_ms": round(cached * 1e3, 2),
        "naive_ms": {kind: round(taken * 1e3, 1) for kind, taken in naively.items()},
        "ratio": {kind: round(taken / cached, 1) for kind, taken in naively.items()},
    }


def training(size: str, place: str, options: argparse.Namespace) -> dict[str, Any]:
    """Optimiser steps of tokenizer and dynamics on the preset's batches (one clip a step for `paper` on a CPU).

    Ours eager and compiled, and the naive scheme in float32.
    """
    compiled, rounds = not options.no_compile, ROUNDS[size]
    batch = 1 if size == "paper" and options.device == "cpu" else preset(size).fit_dynamics.batch
    found = {
        part: _alone(time_training, options, size, part, batch, options.device, options.precision, compiled, rounds)
        for part in ("tokenizer", "dynamics")
    }
    print(f"{size} training: {found}", flush=True)
    return found


def time_training(
    size: str, part: str, batch: int, device: str, precision: str, compiled: bool, rounds: int
) -> dict[str, Any]:
    """Forward, backward and AdamW, ours and naive in turn, from pixels in memory that the dynamics' steps encode."""
    chosen, place = preset(size), torch.device(device)
    tokenizer, side = Tokenizer(chosen.tokenizer).to(place), chosen.tokenizer.size
    if part == "tokenizer":
        model: Any = tokenizer
        t = chosen.clip_tokenizer
    else:
        model, t = Dynamics(chosen.dynamics_for(7)).to(place), chosen.clips_dynamics[0]
        tokenizer.eval()
    rng = np.random.default_rng(SEED)
    clips = {
        "frames": rng.integers(256, size=(batch, t, side, side, 3), dtype=np.uint8),
        "actions": rng.integers(7, size=(batch, t - 1)),
        "rewards": np.zeros((batch, t - 1), np.float32),
        "terminated": np.zeros((batch, t - 1), bool),
    }
    frames = to_model(torch.from_numpy(clips["frames"])).to(place)
    actions = torch.from_numpy(rng.integers(7, size=(batch, t))).to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    dtype = resolve(precision, place)

    def ours(forward: Callable = model) -> Tensor:
        given = {"frames": frames} if model is tokenizer else token_batch(tokenizer, clips, 0, t, precision)
        with autocast(dtype, place):
            return forward(given)[0]

    def naive() -> Tensor:
        return model({"frames": frames})[0] if model is tokenizer else naive_loss(tokenizer, model, frames, actions)

    def step(loss: Callable[[], Tensor]) -> float:
        started = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        return time.perf_counter() - started

    step(ours)
    peak_mb = round(_peak_memory(place) / 2**20)  # before the others take theirs
    ways: dict[str, Callable[[], Tensor]] = {"eager": ours, "naive in float32": naive}
    if compiled:
        ways["compiled"] = partial(ours, torch.compile(model, dynamic=False))
    warm_up = {way: round(step(loss), 1) for way, loss in ways.items()}
    times = [[step(loss) for loss in ways.values()] for _ in range(rounds)]
    with FlopCounterMode(display=False) as counter:
        step(ours)
    return {
        "batch": batch,
        "frames_a_clip": t,
        "gflop": round(counter.get_total_flops() / 1e9, 1),  # of ours
        "peak_mb": peak_mb,
        "warm_up_seconds": warm_up,
        "step_ms": dict(zip(ways, np.median(times, axis=0).round(4) * 1e3, strict=True)),
    }


def rewards(size: str, place: str, options: argparse.Namespace) -> dict[str, Any]:
    """AutoExplore's scores of eight environments in one pass."""
    compiled = not options.no_compile and (options.device != "cpu" or size in COMPILED)
    found = _alone(time_rewards, options, place, options.device, options.precision, compiled, 8, ROUNDS[size])
    print(f"{size} rewards: {found}", flush=True)
    return found


def time_rewards(place: str, device: str, precision: str, compiled: bool, batch: int, rounds: int) -> dict[str, Any]:
    """Eager and compiled in turn."""
    model = load_weights(place, device, precision).model
    ways = {"eager": AutoExplore(model)} | ({"compiled": AutoExplore(model, compile=True)} if compiled else {})
    side, context, window = model.tokenizer.config.size, ways["eager"].context, ways["eager"].window
    frames = torch.randint(0, 256, (batch, context, side, side, 3), dtype=torch.uint8)
    actions, times = torch.zeros(batch, window - 1, dtype=torch.int64), []

    def score(reward: AutoExplore) -> float:
        started = time.perf_counter()
        reward.score(frames, actions)  # gives its result on the CPU
        return time.perf_counter() - started

    for _ in range(rounds + 1):
        times.append([score(reward) for reward in ways.values()])
    rates = batch / np.median(times[1:], axis=0)  # the first one compiles
    return {"batch": batch, "scores_per_second": dict(zip(ways, rates.round(1), strict=True))}


def table(figures: dict[str, Any]) -> str:
    """Markdown: one row for each thing measured."""
    peak = figures["peak_gflops"]
    lines = [
        f"{figures['threads']} threads, {figures['device']}, matrix products at best {peak:.0f} GFLOP/s",
        "",
        "| what | a second | p50 ms | p99 ms | GFLOP | of peak | memory MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in (size for size in SAMPLING_STEPS if size in figures):
        parts = figures[size]
        for name, row in parts.get("dreams", {}).items():
            share = row["gflop"] / row["p50_ms"] * 1e3 / peak
            cells = row["frames_per_second"], row["p50_ms"], row["p99_ms"], row["gflop"], f"{share:.0%}", row["peak_mb"]
            lines.append(f"| {size}, {name} dreams, frames | " + " | ".join(map(str, cells)) + " |")
        for name, row in parts.get("training", {}).items():
            lines += _training_lines(f"{size}, {name} training, clips of {row['frames_a_clip']}", row, peak)
        if "rewards" in parts:
            row = parts["rewards"]
            for way, rate in row["scores_per_second"].items():
                lines.append(f"| {size}, scores, {row['batch']} at once, {way} | {rate} | | | | | |")
        if "naive" in parts:
            row = parts["naive"]
            for kind, taken in row["naive_ms"].items():
                beside = f"{row['ratio'][kind]} times as long as ours"
                ours = f"{row['cached_ms']} ms with {SAMPLING_STEPS[size]}"
                what = f"{size}, naive in {kind}: whole window, {NAIVE_STEPS} steps; {beside}, {ours}"
                lines.append(f"| {what} | {1e3 / taken:.3f} | {taken} | | | | |")
    return "\n".join(lines) + "\n"


def _training_lines(what: str, row: dict[str, Any], peak: float) -> list[str]:
    lines = []
    for way, taken in row["step_ms"].items():
        cells = [f"{row['batch'] / taken * 1e3:.3f}", f"{taken:.1f}", "", "", "", ""]
        if way != "naive in float32":
            cells[3:5] = row["gflop"], f"{row['gflop'] / taken * 1e3 / peak:.0%}"
        if way == "eager":
            cells[5] = row["peak_mb"]
        lines.append(f"| {what}, {way} | " + " | ".join(map(str, cells)) + " |")
    return lines


def plot(figures: dict[str, Any], path: Path) -> None:
    """Frames a second over the batch."""
    figure, axis = plt.subplots(figsize=(6, 4))
    for size in (size for size in SAMPLING_STEPS if size in figures):
        dreamed = figures[size].get("dreams", {})
        for kind in ("eager", "compiled"):
            rows = {int(n.split()[1]): r for n, r in dreamed.items() if n.startswith(kind)}
            if rows:
                rates = [row["frames_per_second"] for row in rows.values()]
                axis.plot(list(rows), rates, "o-", label=f"{size}, {kind}")
        if "naive" in figures[size]:
            for kind, taken in figures[size]["naive"]["naive_ms"].items():
                axis.plot(1, 1e3 / taken, "x", label=f"{size}, naive in {kind}, {NAIVE_STEPS} steps")
    if not axis.lines:  # nothing that dreams was asked for
        return
    axis.set(xscale="log", yscale="log", xlabel="dreams in a batch", ylabel="frames a second")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


PARTS: dict[str, Callable] = {"dreams": dreams, "naive": naive, "training": training, "rewards": rewards}

if __name__ == "__main__":
    main()
