"""What the paper's training would cost, from rates measured here: `python -m benchmarks.speed.reckoning`.

Measured here, in seconds of processor time, so that other programs on the machine matter little: frames that one core
plays and stores of a game, and clips that it reads from such a recording. What a training step takes, in time and in
floating-point operations that torch counts, is read from the result of `benchmarks.speed.speed`. Peaks and bandwidths
of GPUs are those that their makers publish, and the share of the peak that training reaches is an assumption.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import join_machines, machine_facts, made_with
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_page
from genie_gym import data, games
from genie_gym.collection.policies import make_policy
from genie_gym.collection.rollout import episode_seed, play_episode
from genie_gym.training.presets import get_preset

ACTIONS = 7  # of a game; hardly matters
RECOMPUTED = 4 / 3  # the backward pass counts twice the forward pass, which is then made again
FRAMES = 4_600_000  # of Platformers-200 in the paper
PARTS = ("tokenizer", "dynamics")  # of GenieRedux-G
GPUS = (1, 8, 64)
# Dense bfloat16 TFLOP/s by the makers' data sheets.
PEAKS = {"NVIDIA A100": 312e12, "NVIDIA H100 SXM": 989e12}
# Bytes per second and direction from a GPU to others: by NVLink in a machine, by 400 Gb/s InfiniBand outside.
NVLINK = {"NVIDIA A100": 300e9, "NVIDIA H100 SXM": 450e9}
NETWORK = 50e9
IN_A_MACHINE = 8


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Airstriker-Genesis", help="game that is played to measure the collection")
    parser.add_argument("--preset", default="paper", help="preset whose training is reckoned")
    parser.add_argument("--share", type=float, default=0.3, help="assumed share of a GPU's peak that training reaches")
    parser.add_argument("--episodes", type=int, default=8, help="episodes to play")
    parser.add_argument("--max-steps", type=int, default=500, help="longest episode")
    parser.add_argument("--batches", type=int, default=20, help="batches of clips to read")
    parser.add_argument("--speed", type=Path, default=RESULTS / "speed.json", help="result of benchmarks.speed.speed")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> Figures:
    """Return rates of one core and what a training step takes."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        played = time_collection(options, Path(folder))
        read = time_reading(options, Path(folder))
    speed = json.loads(options.speed.read_text())
    parts = {part: training_step(options.preset, part, speed) for part in PARTS}
    return {"frames_played_per_core_second": played, "clips_read_per_core_second": read, "training": parts}


def time_collection(options: argparse.Namespace, folder: Path) -> float:
    """Return frames that a core plays under random actions and stores in a second."""
    env = games.make(options.game)
    header = {"game": env.game.to_dict(), "actions": env.game.meanings}
    _, policy = make_policy("random", 0.0)
    frames, seconds = 0, 0.0
    with data.EpisodeWriter(folder, header) as writer:
        for index in range(1 + options.episodes):
            started = time.process_time()
            episode = play_episode(env, policy, episode_seed(options.seed, index), options.max_steps)
            writer.append(episode)
            if index:  # the first one loads what the others find
                frames, seconds = frames + len(episode.actions), seconds + time.process_time() - started
    env.close()
    data.pack(folder)
    return frames / seconds


def time_reading(options: argparse.Namespace, folder: Path) -> float:
    """Return clips of the dynamics' training that a core reads and decompresses in a second."""
    preset = get_preset(options.preset)
    windows = data.SequenceDataset(
        data.EpisodeDataset(folder), preset.dynamics_clip_lengths[0] + preset.dynamics_max_offset
    )
    rng, batch = np.random.default_rng(options.seed), preset.dynamics_training.batch_size
    seconds = cpu_seconds(lambda: windows.sample(rng, batch), options.batches)
    return batch / seconds


def training_step(preset: str, part: str, speed: Figures) -> Figures:
    """Return what a clip of a training step takes, how many steps there are, and the number of weights trained."""
    chosen = get_preset(preset)
    recipe, timed = getattr(chosen, f"{part}_training"), speed[preset]["training"][part]
    with torch.device("meta"):  # takes no memory
        model = chosen.tokenizer.build() if part == "tokenizer" else chosen.dynamics_for(ACTIONS).build()
    again = RECOMPUTED if recipe.recompute else 1  # what was counted recomputed nothing
    return {
        "flop_per_clip": again * timed["gflop"] * 1e9 / timed["batch_size"],
        "core_seconds_per_clip": timed["step_ms"]["eager"] / 1e3 * speed["threads"] / timed["batch_size"],
        "weights": sum(p.numel() for p in model.parameters()),
        "clips_per_step": recipe.batch_size * recipe.accumulate,
        "steps": recipe.steps,
        "machine": speed["machine"]["cpu"],
    }


def cpu_seconds(call: Callable[[], Any], rounds: int) -> float:
    """Return the mean processor time of a call, after one that does not count."""
    call()
    started = time.process_time()
    for _ in range(rounds):
        call()
    return (time.process_time() - started) / rounds


def reckon(measured: Figures, gpu: str, count: int, share: float) -> Figures:
    """Return hours of the whole training on so many GPUs, and what they need."""
    hours, fastest = 0.0, 0.0
    waiting = []
    for part in measured["training"].values():
        clips = math.ceil(part["clips_per_step"] / count)  # of the GPU that has most of them
        computing = clips * part["flop_per_clip"] / (share * PEAKS[gpu])
        bandwidth = NVLINK[gpu] if count <= IN_A_MACHINE else NETWORK
        exchange = 2 * (count - 1) / count * 4 * part["weights"] / bandwidth  # a ring, of gradients in float32
        seconds = computing + exchange  # at worst: in part they overlap
        hours += part["steps"] * seconds / 3600
        fastest = max(fastest, part["clips_per_step"] / seconds)
        waiting.append(exchange / seconds)
    return {
        "hours": hours,
        "gpu_hours": count * hours,
        "exchanging": max(waiting),
        "clips_per_second": fastest,
        "reading_cores": fastest / measured["clips_read_per_core_second"],
    }


def page(figures: Figures, options: argparse.Namespace) -> list[str]:
    """Return the paragraphs of the page."""
    measured, rows = figures["measured"], []
    for gpu in PEAKS:
        alone = figures["training"][gpu]["1"]["hours"]
        for count in GPUS:
            one = figures["training"][gpu][str(count)]
            cells = (
                f"{count} {gpu}",
                f"{one['hours']:,.0f}",
                f"{one['gpu_hours']:,.0f}",
                f"{alone / one['hours']:.1f}",
                f"{one['exchanging']:.0%}",
                f"{one['clips_per_second']:,.1f}",
                f"{one['reading_cores']:.1f}",
            )
            rows.append(cells)
    table = markdown_table(
        [
            "GPUs",
            "hours",
            "GPU hours",
            "times as fast as one",
            "exchanging gradients",
            "clips a second",
            "cores that read",
        ],
        rows,
    )
    rate, cores = measured["frames_played_per_core_second"], figures["collecting_core_hours"]
    parts = "; ".join(
        f"{name}: {part['flop_per_clip'] / 1e12:.1f} TFLOP a clip, {part['weights'] / 1e6:.0f} M weights, "
        f"{part['steps']:,} steps of {part['clips_per_step']} clips"
        for name, part in measured["training"].items()
    )
    batch = max(part["clips_per_step"] for part in measured["training"].values())
    slow, cpu = figures["cpu_core_years"], measured["training"]["dynamics"]["machine"]
    peaks = ", ".join(f"{name} {peak / 1e12:.0f} TFLOP/s" for name, peak in PEAKS.items())
    links = ", ".join(f"{speed / 1e9:.0f} GB/s ({name})" for name, speed in NVLINK.items())
    return [
        f"**Collecting.** One core plays and stores {rate:,.0f} frames of {options.game} in a second of its time. The "
        f"{FRAMES:,} frames of Platformers-200 take {cores:.1f} core hours: {60 * cores / 16:.0f} minutes of 16 cores. "
        "Workers share nothing but the disk, so that twice the cores take half the time until there are as many as "
        "episodes. Games differ: an emulator of a larger console is slower.",
        f"**Training** the preset `{options.preset}` ({parts}) on GPUs that reach {options.share:.0%} of their "
        "published peak. That share is an assumption: no training of this project has been timed on a GPU. Activations "
        "are recomputed, which is counted.",
        table,
        f"At the speed of eager steps of one clip on two cores ({cpu}), the same training would take {slow:,.0f} years "
        "of one core.",
        f"**Where it stops.** A step has {batch} clips, however many GPUs share them. Up to {batch} GPUs each clip can "
        f"have one of its own, and on 64 some compute two while others wait after one. Beyond {batch} a GPU would have "
        "nothing to do, unless the batch grows, which is another training than the paper's. Between machines the "
        "gradients' way through the network comes on top, where it cannot be hidden behind the backward pass. Neither "
        "emulators nor disks are the limit: the cores that read clips are as many as the last column says.",
        f"Published peaks in dense bfloat16: {peaks}. Between GPUs {links} in a machine of {IN_A_MACHINE} and "
        f"{NETWORK / 1e9:.0f} GB/s outside. {made_with(figures)}.",
    ]


def main() -> None:
    options, machine, started = read_options(), machine_facts(), time.monotonic()
    measured = measure(options)
    seconds = sum(
        part["steps"] * part["clips_per_step"] * part["core_seconds_per_clip"] for part in measured["training"].values()
    )
    figures: Figures = {
        "command": "python -m benchmarks.speed.reckoning",
        "options": {name: value for name, value in vars(options).items() if name not in ("out", "speed")},
        "measured": measured,
        "collecting_core_hours": FRAMES / measured["frames_played_per_core_second"] / 3600,
        "cpu_core_years": seconds / 3600 / 24 / 365,
        "training": {gpu: {str(count): reckon(measured, gpu, count, options.share) for count in GPUS} for gpu in PEAKS},
        "hours": round((time.monotonic() - started) / 3600, 2),
        "machine": join_machines([machine]),
    }
    write_page(options.out / "reckoning", figures, page(figures, options))


if __name__ == "__main__":
    sys.exit(run_script(main))
