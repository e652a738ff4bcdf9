"""How good and how dear is an upscaler? `python benchmarks/upscaler.py Airstriker-Genesis`.

Takes a checkpoint folder, a hub id, or the name of a game whose weights are at hand, with an upscaler; and a recording
with large frames (`genie-gym collect GAME --large`). Scores held-out frames beside nearest and bicubic enlarging: the
real small frames, and the same as the world model's tokenizer sees them, which is what a dream is made of. Then what a
frame costs, and a step of a single dream with the upscaler and without. Writes upscaler.json, upscaler.md
and a strip upscaler.png.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, machine_facts, write_result
from torch.utils.flop_counter import FlopCounterMode

from genie_gym import paths
from genie_gym.cli.names import find_checkpoint
from genie_gym.data import Pairs, Recording, split
from genie_gym.envs import WorldModelEnv
from genie_gym.files import write_aside
from genie_gym.frames import strip, to_png
from genie_gym.metrics import Frames
from genie_gym.models.upscaler import Upscaler
from genie_gym.pipeline.upscaler_score import enlarged, score_upscaler
from genie_gym.world_model import Checkpoint, WorldModel
from genie_gym.world_model.weights import load_weights

PICTURED = 4  # frames in the strip


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or game")
    parser.add_argument("--data", type=Path, help="folder of the recording; the game's own by default")
    parser.add_argument("--all", action="store_true", help="score all episodes, because none of them was fitted to")
    parser.add_argument("--frames", type=int, default=512, help="held-out frames to score, at most")
    parser.add_argument("--steps", type=int, default=200, help="of the dreams that are timed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder of the results; below benchmarks/results by default")
    return parser.parse_args()


def main() -> None:
    options, facts = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    place = find_checkpoint(options.checkpoint)
    checkpoint = load_weights(place, options.device, "auto")
    if checkpoint.upscaler is None:
        raise SystemExit(f"{place} has no upscaler; fit one with: genie-gym fit-upscaler {options.checkpoint}")
    game = checkpoint.game["name"]
    recording = Recording(options.data or paths.data_dir(game))
    pairs = Pairs(recording, None if options.all else split(recording)[1])
    scores = {
        "real frames": score_upscaler(checkpoint.upscaler, pairs, options.frames),
        "as the tokenizer sees them": score_upscaler(
            checkpoint.upscaler, pairs, options.frames, seen=lambda low: as_seen(checkpoint.model, low)
        ),
    }
    figures = {
        "game": game,
        "held_out": {"episodes": pairs.episodes, "frames": min(options.frames, len(pairs))},
        "scores": scores,
        "cost": cost(checkpoint, place, pairs.side, options) | {"threads": options.threads},
        "made": checkpoint.provenance.get("upscaler", "unknown"),
    }
    out = options.out or RESULTS / f"upscaler-{game}"
    write_result(out / "upscaler.json", figures, facts)
    (out / "upscaler.md").write_text(table(figures))
    write_aside(out / "upscaler.png", to_png(pictures(checkpoint.upscaler, pairs)))
    print(table(figures))
    print(f"kept in {out}")


@torch.inference_mode()
def as_seen(model: WorldModel, low: Frames) -> Frames:
    """Small frames uint8 (b, s, s, 3), encoded and decoded."""
    return model.start(torch.from_numpy(low)[:, None])[1].cpu().numpy()


def cost(checkpoint: Checkpoint, place: str, side: int, options: argparse.Namespace) -> dict[str, Any]:
    """Size and operations of the upscaler, what its pictures take, and a step of one dream with and without it."""
    upscaler = checkpoint.upscaler
    assert upscaler is not None
    device = checkpoint.model.device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        upscaler.enlarge(torch.rand(1, 3, side, side, device=device))
    small = torch.randint(0, 256, (16, side, side, 3), dtype=torch.uint8, device=device)
    return {
        "parameters": sum(parameter.numel() for parameter in upscaler.parameters()),
        "gflop_a_frame": round(counter.get_total_flops() / 1e9, 2),
        "frame_alone": timed(lambda: upscaler.upscale(small[:1]).cpu(), options.steps),
        "frames_16_at_once": timed(lambda: upscaler.upscale(small).cpu(), options.steps // 10),
        "step_64x64": dream_step(place, options, upscale=False),
        "step_upscaled": dream_step(place, options, upscale=True),
    }


def dream_step(place: str, options: argparse.Namespace, upscale: bool) -> dict[str, float]:
    """What a step of a single dream takes."""
    env = WorldModelEnv(checkpoint=place, device=options.device, upscale=upscale, ends=False)
    env.reset(seed=0)
    env.action_space.seed(0)
    return timed(lambda: env.step(env.action_space.sample()), options.steps)


def timed(call: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Medians: "ms" on the clock, and "processor_ms" of all threads, to which other programs add little."""
    times = []
    for _ in range(rounds + 5):
        started = np.array([time.perf_counter(), time.process_time()])
        call()
        times.append(np.array([time.perf_counter(), time.process_time()]) - started)
    clock, processor = np.median(times[5:], 0) * 1e3
    return {"ms": round(float(clock), 2), "processor_ms": round(float(processor), 2)}


def pictures(upscaler: Upscaler, pairs: Pairs) -> Frames:
    """A row for each of a few held-out frames: small, nearest, bicubic, upscaler, real."""
    ((low, high),) = pairs.evenly(PICTURED + 2, PICTURED + 2)
    low, high = low[1:-1], high[1:-1]  # the very first and the very last frame show least
    small = np.full_like(high, 128)
    edge = (high.shape[1] - low.shape[1]) // 2
    small[:, edge : edge + low.shape[1], edge : edge + low.shape[1]] = low
    columns = np.stack([small, *enlarged(upscaler, low).values(), high], 1)
    return strip(columns.reshape(-1, *high.shape[1:]), columns=columns.shape[1], gap=2)


def table(figures: dict[str, Any]) -> str:
    """All of it as Markdown."""
    lines = [
        f"Upscaler of {figures['game']}: {figures['held_out']['frames']} frames of {figures['held_out']['episodes']} "
        "held-out episodes",
        "",
        "| small frames | method | PSNR dB | SSIM |",
        "|---|---|---|---|",
    ]
    for kind, methods in figures["scores"].items():
        lines += [f"| {kind} | {name} | {score['psnr']:.2f} | {score['ssim']:.4f} |" for name, score in methods.items()]
    cost = figures["cost"]
    lines += [
        "",
        f"{cost['parameters']:,} parameters, {cost['gflop_a_frame']} GFLOP a frame. With {cost['threads']} thread(s):",
        "",
        "| what | ms | processor ms |",
        "|---|---|---|",
    ]
    for name in ("frame_alone", "frames_16_at_once", "step_64x64", "step_upscaled"):
        lines.append(f"| {name.replace('_', ' ')} | {cost[name]['ms']} | {cost[name]['processor_ms']} |")
    lines += ["", f"Made by: {figures['made']}. Strip: small, nearest, bicubic, upscaler, real."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
