"""Quality and cost of an upscaler: `python -m benchmarks.quality.upscaler Airstriker-Genesis`.

Takes a checkpoint with an upscaler and a dataset with high-resolution frames (`genie-gym collect GAME --high-res`).
Scores held-out frames beside nearest and bicubic enlarging: the real small frames, and the same as the tokenizer
reconstructs them, which is what imagined frames are made of. Then measures the cost of a frame, and of a step of a
single environment with the upscaler and without. Writes upscaler.json, .md and a strip upscaler.png.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.options import model_options
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_page
from genie_gym.data import EpisodeDataset, FramePairs, split
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import CheckpointError
from genie_gym.evaluation.upscaler import enlarged, score_upscaler
from genie_gym.metrics.image import Frames
from genie_gym.models.upscaler import Upscaler
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.images import grid, to_png
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import Checkpoint, WorldModel
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint

STRIP = 4  # frames shown in the strip
WARM_UP = 5  # calls whose time does not count
TIMED = {  # keys of the cost, and their rows in the table
    "frame_alone": "one frame",
    "frames_batch_16": "16 frames in a batch",
    "step_64x64": "step at 64x64",
    "step_upscaled": "step upscaled",
}


def read_options() -> argparse.Namespace:
    parser = model_options(__doc__)
    parser.add_argument(
        "--all", action="store_true", help="score all episodes: the upscaler was trained on none of them"
    )
    parser.add_argument("--frames", type=int, default=512, help="held-out frames to score, at most")
    parser.add_argument("--steps", type=int, default=200, help="steps that are timed")
    parser.add_argument("--out", type=Path, help="folder of the results; below benchmarks/results by default")
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    path = resolve_checkpoint(options.checkpoint)
    checkpoint = load_checkpoint(path, options.device, "auto")
    upscaler = upscaler_of(checkpoint, path)
    game = checkpoint.game["name"]
    dataset = EpisodeDataset(options.data or paths.data_dir(game))
    pairs = FramePairs(dataset, None if options.all else split(dataset)[1])
    figures = {
        "game": game,
        "held_out": {"episodes": pairs.num_episodes, "frames": min(options.frames, len(pairs))},
        "scores": scores(checkpoint.model, upscaler, pairs, options.frames),
        "cost": cost(upscaler, path, pairs.side, options) | {"threads": options.threads},
        "training": checkpoint.metadata.upscaler or "unknown",
        "machine": machine,
    }
    out = options.out or RESULTS / f"upscaler-{game}"
    write_page(out / "upscaler", figures, page(figures))
    atomic_write(out / "upscaler.png", to_png(strip(upscaler, pairs)))
    print("\n\n".join(page(figures)))


def upscaler_of(checkpoint: Checkpoint, path: str) -> Upscaler:
    """Return the upscaler of a checkpoint.

    Raises:
        CheckpointError: It has none.
    """
    if checkpoint.upscaler is None:
        game = checkpoint.game["name"]
        raise CheckpointError(f"{path} has no upscaler; train one with: genie-gym train-upscaler {game}")
    return checkpoint.upscaler


def scores(model: WorldModel, upscaler: Upscaler, pairs: FramePairs, frames: int) -> Figures:
    """Return PSNR and SSIM of each way to enlarge real frames and reconstructed ones."""
    as_imagined = score_upscaler(upscaler, pairs, frames, transform=lambda low: reconstructed(model, low))
    return to_jsonable({"real": score_upscaler(upscaler, pairs, frames), "reconstructed": as_imagined})


@torch.inference_mode()
def reconstructed(model: WorldModel, low: Frames) -> Frames:
    """Encode and decode small frames uint8 (b, s, s, 3)."""
    return model.start(torch.from_numpy(low)[:, None])[1].cpu().numpy()


def cost(upscaler: Upscaler, path: str, side: int, options: argparse.Namespace) -> Figures:
    """Return size and operations of the upscaler, and the time of a frame and of a step with and without it."""
    device = next(upscaler.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        upscaler.enlarge(torch.rand(1, 3, side, side, device=device))
    small = torch.randint(0, 256, (16, side, side, 3), dtype=torch.uint8, device=device)
    return {
        "parameters": sum(parameter.numel() for parameter in upscaler.parameters()),
        "gflop_per_frame": round(counter.get_total_flops() / 1e9, 2),
        "frame_alone": timed(lambda: upscaler.upscale(small[:1]).cpu(), options.steps),
        "frames_batch_16": timed(lambda: upscaler.upscale(small).cpu(), options.steps // 10),
        "step_64x64": env_step(path, options, upscale=False),
        "step_upscaled": env_step(path, options, upscale=True),
    }


def env_step(path: str, options: argparse.Namespace, upscale: bool) -> dict[str, float]:
    """Return the time of a step of a single environment."""
    env = WorldModelEnv(checkpoint=path, device=options.device, upscale=upscale, terminate=False)
    env.reset(seed=0)
    env.action_space.seed(0)
    return timed(lambda: env.step(env.action_space.sample()), options.steps)


def timed(call: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return the median "ms" of wall time, and "processor_ms" of all threads, which other programs hardly change."""
    times = []
    for _ in range(rounds + WARM_UP):
        started = np.array([time.perf_counter(), time.process_time()])
        call()
        times.append(np.array([time.perf_counter(), time.process_time()]) - started)
    wall, processor = np.median(times[WARM_UP:], 0) * 1e3
    return {"ms": round(float(wall), 2), "processor_ms": round(float(processor), 2)}


def strip(upscaler: Upscaler, pairs: FramePairs) -> Frames:
    """Return an image with a row for each of a few held-out frames: small, nearest, bicubic, upscaler, real."""
    ((low, high),) = pairs.evenly(STRIP + 2, STRIP + 2)
    low, high = low[1:-1], high[1:-1]  # the very first and the very last frame show least
    small = np.full_like(high, 128)
    edge = (high.shape[1] - low.shape[1]) // 2
    small[:, edge : edge + low.shape[1], edge : edge + low.shape[1]] = low
    columns = np.stack([small, *enlarged(upscaler, low).values(), high], 1)
    return grid(columns.reshape(-1, *high.shape[1:]), columns=columns.shape[1], gap=2)


def page(figures: Figures) -> list[str]:
    """Return the paragraphs of the page."""
    held_out, cost = figures["held_out"], figures["cost"]
    quality = [
        [kind, name, f"{score['psnr']:.2f}", f"{score['ssim']:.4f}"]
        for kind, methods in figures["scores"].items()
        for name, score in methods.items()
    ]
    times = [[title, cost[name]["ms"], cost[name]["processor_ms"]] for name, title in TIMED.items()]
    return [
        f"Upscaler of {figures['game']}: {held_out['frames']} frames of {held_out['episodes']} held-out episodes",
        markdown_table(["small frames", "method", "PSNR dB", "SSIM"], quality, left=2),
        f"{cost['parameters']:,} parameters, {cost['gflop_per_frame']} GFLOP per frame. "
        f"With {cost['threads']} thread(s):",
        markdown_table(["", "ms", "processor ms"], times),
        f"Training: {figures['training']}. Strip: small, nearest, bicubic, upscaler, real.",
    ]


if __name__ == "__main__":
    sys.exit(run_script(main))
