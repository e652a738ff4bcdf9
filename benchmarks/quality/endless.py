"""Whether imagination lasts: `python -m benchmarks.quality.endless Airstriker-Genesis`.

Imagines 10,000 steps, and for every thousand of them measures how far the frames are from real ones, the time per step
and the memory of the process. Then compares two ways to go beyond the training window: rolling, as environments do (the
cache is a ring that the oldest frame leaves), and re-anchoring (every so many steps the last frames are encoded anew as
initial context). Writes endless.json and a strip endless.png to --out, by default benchmarks/results.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.options import model_options
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym.data import EpisodeDataset, SequenceDataset, split
from genie_gym.evaluation.frame_metrics import thumbnails
from genie_gym.evaluation.long_horizon import random_actions, real_frames
from genie_gym.evaluation.report import write_grid
from genie_gym.metrics.image import Frames, frechet_distance
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint

SEED = 0  # of the initial contexts, the actions and the samples
CONTEXT = 4  # frames of a context, initial or re-anchored
WARM_UP = 5  # steps whose time does not count


def read_options() -> argparse.Namespace:
    parser = model_options(__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="steps of the long rollouts")
    parser.add_argument("--num-rollouts", type=int, default=2, help="number of the long rollouts")
    parser.add_argument("--compared-steps", type=int, default=1000, help="steps of rolling and of re-anchoring")
    parser.add_argument("--compared-rollouts", type=int, default=8, help="number of those rollouts")
    parser.add_argument("--anchor-interval", type=int, default=32, help="steps between two anchors")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    checkpoint = load_checkpoint(resolve_checkpoint(options.checkpoint), options.device, "auto")
    dataset = EpisodeDataset(options.data or paths.data_dir(checkpoint.game["name"]))
    settings = {name: value for name, value in vars(options).items() if name not in ("checkpoint", "data", "out")}
    figures: Figures = {"game": checkpoint.game["name"], "settings": settings | {"seed": SEED}}
    figures["checkpoint"] = checkpoint.metadata.to_dict()
    figures["long"] = long_rollout(checkpoint, dataset, options.steps, options.num_rollouts, options.out)
    figures["compared"] = {
        name: compare(checkpoint, dataset, options.compared_steps, options.compared_rollouts, interval)
        for name, interval in (("rolling", None), ("re-anchoring", options.anchor_interval))
    }
    print(json.dumps(figures, indent=1))
    print(f"results in {write_result(options.out / 'endless.json', figures, machine)}")


def rollout(
    checkpoint: Checkpoint, dataset: EpisodeDataset, steps: int, count: int, anchor_interval: int | None = None
) -> Iterator[tuple[Frames, float]]:
    """Yield the frames uint8 (count, s, s, 3) of each step under held random actions, and the seconds it took.

    With an anchor interval, the last frames become an initial context after so many steps.
    """
    clip = SequenceDataset(dataset, CONTEXT, split(dataset)[1], include_terminal=False).sample(
        np.random.default_rng(SEED), count
    )
    frames, prev_actions = torch.from_numpy(clip["frames"]), torch.from_numpy(clip["actions"])
    state, _ = checkpoint.model.start(frames, prev_actions)
    all_actions = torch.from_numpy(random_actions(len(checkpoint.game["actions"]), count, steps, SEED))
    for step, actions in enumerate(all_actions.unbind(1)):
        started = time.perf_counter()
        if anchor_interval and step and step % anchor_interval == 0:
            state, _ = checkpoint.model.start(frames, prev_actions, seeds=state.seeds + 1)
        frame = checkpoint.model.step(state, actions, checkpoint.sampling).frames.cpu()
        yield frame.numpy(), time.perf_counter() - started
        frames = torch.cat([frames[:, 1:], frame[:, None]], 1)
        prev_actions = torch.cat([prev_actions[:, 1:], actions[:, None]], 1)


def long_rollout(checkpoint: Checkpoint, dataset: EpisodeDataset, steps: int, count: int, out: Path) -> list[Figures]:
    """Return figures of each tenth of long rollouts, and write a strip with the last frame of each."""
    real, part = _real_thumbnails(dataset), max(steps // 10, 1)
    rows: list[Figures] = []
    strip: list[Frames] = []
    frames: list[Frames] = []
    seconds: list[float] = []
    for step, (frame, taken) in enumerate(rollout(checkpoint, dataset, steps, count), 1):
        frames.append(frame)
        seconds.append(taken)
        if step % part == 0:
            frechet = round(frechet_distance(thumbnails(np.concatenate(frames)), real), 1)
            memory_mb = round(_memory_in_use() / 2**20, 1)
            rows.append({"up_to_step": step, "frechet": frechet, **_times(seconds), "memory_mb": memory_mb})
            print(rows[-1], flush=True)
            strip.append(frame)
            frames, seconds = [], []
    write_grid(out / "endless.png", np.stack(strip, 1))
    return rows


def compare(
    checkpoint: Checkpoint, dataset: EpisodeDataset, steps: int, count: int, anchor_interval: int | None
) -> Figures:
    """Return the Frechet distance of the late half, the time per step, and the stalls over the median.

    Stalls are the slowest steps, as many as there are anchors; their median counts.
    """
    frames, seconds = zip(*rollout(checkpoint, dataset, steps, count, anchor_interval), strict=True)
    late = thumbnails(np.concatenate(frames[steps // 2 :]))
    stalls = np.sort(seconds[WARM_UP:])[-max(steps // (anchor_interval or 32), 1) :]
    return {
        "frechet_late": round(frechet_distance(late, _real_thumbnails(dataset)), 1),
        **_times(seconds),
        "stall_over_median": round(float(np.median(stalls) / np.median(seconds)), 2),
    }


def _times(seconds: list[float]) -> Figures:
    p50, p99 = (np.percentile(seconds, [50, 99]) * 1e3).tolist()
    return {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}


def _real_thumbnails(dataset: EpisodeDataset) -> np.ndarray:
    """Return thumbnails of held-out frames."""
    return thumbnails(np.concatenate(real_frames(dataset, split(dataset)[1])))


def _memory_in_use() -> int:
    """Return the memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


if __name__ == "__main__":
    sys.exit(run_script(main))
