"""Does a dream last? `python benchmarks/endless.py Airstriker-Genesis`.

Dreams 10,000 steps, and for every thousand of them: how far the frames are from real ones, what a step takes, how much
memory the process holds. Then the two ways to go beyond the training window, beside one another: rolling, as dreams do
(the memory is a ring, and the oldest frame leaves it), and re-anchoring (every so many steps the last frames are
encoded anew as a prompt). Writes endless.json and a strip endless.png below benchmarks/results.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from machine import RESULTS, machine_facts, write_result

from genie_gym import paths
from genie_gym.cli.names import find_checkpoint
from genie_gym.data import Clips, Recording, split
from genie_gym.metrics import Frames, frechet_distance
from genie_gym.pipeline.figures import write_strip
from genie_gym.pipeline.long_dreams import random_actions, real_frames, thumbnails
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import load_weights

SEED = 0  # of the starts, the actions and the draws
CONTEXT = 4  # frames of a prompt, the first as well as later ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or game")
    parser.add_argument("--data", type=Path, help="folder of the recording; the game's own by default")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--dreams", type=int, default=2)
    parser.add_argument("--compared", type=int, default=1000, help="steps of rolling and of re-anchoring")
    parser.add_argument("--compared-dreams", type=int, default=8)
    parser.add_argument("--every", type=int, default=32, help="steps between two anchors")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    options, facts = parser.parse_args(), machine_facts()
    torch.set_num_threads(options.threads)
    checkpoint = load_weights(find_checkpoint(options.checkpoint), "auto", "auto")
    recording = Recording(options.data or paths.data_dir(checkpoint.game["name"]))
    settings = {name: value for name, value in vars(options).items() if name not in ("checkpoint", "data", "out")}
    figures = {"game": checkpoint.game["name"], "settings": settings | {"seed": SEED}}
    figures["checkpoint"] = checkpoint.provenance
    figures["long"] = long_dream(checkpoint, recording, options.steps, options.dreams, options.out)
    figures["compared"] = {
        name: compared(checkpoint, recording, options.compared, options.compared_dreams, every)
        for name, every in (("rolling", None), ("re-anchoring", options.every))
    }
    print(json.dumps(figures, indent=1))
    print(f"kept in {write_result(options.out / 'endless.json', figures, facts)}")


def dream(
    checkpoint: Checkpoint, recording: Recording, steps: int, dreams: int, every: int | None = None
) -> Iterator[tuple[Frames, float]]:
    """Frames uint8 (b, s, s, 3) of each step under held random actions, and the seconds it took.

    With `every`, the last CONTEXT frames become a prompt after so many steps.
    """
    clip = Clips(recording, CONTEXT, split(recording)[1], ends=False).sample(np.random.default_rng(SEED), dreams)
    frames, led = torch.from_numpy(clip["frames"]), torch.from_numpy(clip["actions"])
    state, _ = checkpoint.model.start(frames, led)
    taken = torch.from_numpy(random_actions(len(checkpoint.game["actions"]), dreams, steps, SEED))
    for step, actions in enumerate(taken.unbind(1)):
        started = time.perf_counter()
        if every and step and step % every == 0:
            state, _ = checkpoint.model.start(frames, led, seeds=state.seeds + 1)
        drawn = checkpoint.model.step(state, actions, checkpoint.sampling).frames.cpu()
        yield drawn.numpy(), time.perf_counter() - started
        frames = torch.cat([frames[:, 1:], drawn[:, None]], 1)
        led = torch.cat([led[:, 1:], actions[:, None]], 1)


def long_dream(checkpoint: Checkpoint, recording: Recording, steps: int, dreams: int, out: Path) -> list[dict]:
    """Figures of each tenth of a long dream."""
    real, part, rows, shown = _real(recording), max(steps // 10, 1), [], []
    frames, seconds = [], []
    for step, (drawn, taken) in enumerate(dream(checkpoint, recording, steps, dreams), 1):
        frames.append(drawn)
        seconds.append(taken)
        if step % part == 0:
            p50, p99 = (np.percentile(seconds, [50, 99]) * 1e3).tolist()
            rows.append(
                {
                    "up_to_step": step,
                    "frechet": round(frechet_distance(thumbnails(np.concatenate(frames)), real), 1),
                    "p50_ms": round(p50, 2),
                    "p99_ms": round(p99, 2),
                    "memory_mb": round(_memory_now() / 2**20, 1),
                }
            )
            print(rows[-1], flush=True)
            shown.append(drawn)
            frames, seconds = [], []
    write_strip(out / "endless.png", np.stack(shown, 1))
    return rows


def compared(
    checkpoint: Checkpoint, recording: Recording, steps: int, dreams: int, every: int | None
) -> dict[str, float]:
    """Frechet distance of the late half, and the time of a step: median, 99th percentile, stalls over the median.

    Stalls are the slowest steps, as many as there are anchors; of them, the median.
    """
    frames, seconds = zip(*dream(checkpoint, recording, steps, dreams, every), strict=True)
    late = thumbnails(np.concatenate(frames[steps // 2 :]))
    p50, p99 = (np.percentile(seconds, [50, 99]) * 1e3).tolist()
    stalls = np.sort(seconds[5:])[-max(steps // (every or 32), 1) :]
    return {
        "frechet_late": round(frechet_distance(late, _real(recording)), 1),
        "p50_ms": round(p50, 2),
        "p99_ms": round(p99, 2),
        "stall_over_median": round(float(np.median(stalls)) * 1e3 / p50, 2),
    }


def _real(recording: Recording) -> np.ndarray:
    """Thumbnails of held-out frames."""
    return thumbnails(np.concatenate(real_frames(recording, split(recording)[1])))


def _memory_now() -> int:
    """Bytes that this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


if __name__ == "__main__":
    main()
