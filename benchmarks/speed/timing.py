"""The measurements of `benchmarks.speed.speed`, each of which runs in a process of its own."""

import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.results import Figures
from benchmarks.speed.naive import naive_loss, naive_step
from benchmarks.speed.untrained import SEED
from genie_gym.envs import WorldModelVectorEnv
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.rewards import AutoExplore
from genie_gym.training.presets import get_preset
from genie_gym.training.stages import token_batch
from genie_gym.utils.images import to_model
from genie_gym.utils.precision import autocast, resolve_precision
from genie_gym.world_model import WorldModel
from genie_gym.world_model.resolve import load_checkpoint

__all__ = [
    "NAIVE",
    "NAIVE_STEPS",
    "TrainingStep",
    "time_imagination",
    "time_naive",
    "time_rewards",
    "time_training",
    "timed",
]

NAIVE_STEPS = 25  # sampling steps of the authors' code
NAIVE = "naive in float32"  # name of that way to train
ACTIONS = 7  # of an imaginary game, in training
WARM_UP = 3  # steps in which torch chooses kernels and compiles


def time_imagination(checkpoint: str, batch: int, seconds: float, how: Figures) -> Figures:
    """Measure steps of a vector environment for about so many seconds."""
    env = _vector_env(checkpoint, batch, how)
    rng, actions = np.random.default_rng(SEED), int(env.single_action_space.n)
    warm_up = sum(timed(lambda: env.step(rng.integers(actions, size=batch))) for _ in range(WARM_UP))
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        action = rng.integers(actions, size=batch)
        times.append(timed(partial(env.step, action)))
    p50, p99 = np.percentile(times, [50, 99])
    peak = _peak_memory(env._engine.model.device)  # before the env whose operations are counted takes its own
    return {
        "frames_per_second": round(float(batch / p50), 2),
        "p50_ms": round(float(p50) * 1e3, 2),
        "p99_ms": round(float(p99) * 1e3, 2),
        "steps": len(times),
        "warm_up_seconds": round(warm_up, 1),
        "gflop": round(_step_flops(checkpoint, batch, how) / 1e9, 3),
        "peak_mb": round(peak / 2**20),
    }


def time_naive(checkpoint: str, device: str, precision: str, compiled: bool, rounds: int) -> Figures:
    """Measure the naive scheme in our precision and in float32, in turn with cached steps."""
    env = _vector_env(checkpoint, 1, {"device": device, "precision": precision, "compile": compiled})
    ours = str(resolve_precision(precision, device)).removeprefix("torch.")
    models = {kind: load_checkpoint(checkpoint, device, kind).model for kind in dict.fromkeys((ours, "float32"))}
    window, action = models[ours].dynamics.config.window, np.zeros(1, np.int64)
    cached: list[float] = []
    naive: dict[str, list[float]] = {kind: [] for kind in models}
    for _ in range(window):  # a full cache
        env.step(action)
    for _ in range(rounds):
        for kind, model in models.items():
            naive[kind].append(timed(partial(_naive_frame, model)))
        cached += [timed(lambda: env.step(action)) for _ in range(5)]
    median, naive_medians = float(np.median(cached)), {kind: float(np.median(times)) for kind, times in naive.items()}
    return {
        "compiled": compiled,
        "cached_ms": round(median * 1e3, 2),
        "naive_ms": {kind: round(taken * 1e3, 1) for kind, taken in naive_medians.items()},
        "ratio": {kind: round(taken / median, 1) for kind, taken in naive_medians.items()},
    }


def _naive_frame(model: WorldModel) -> Tensor:
    """Generate a frame after a full window of random tokens."""
    config = model.dynamics.config
    tokens = torch.randint(config.codes, (1, config.window, model.tokens), device=model.device)
    actions = torch.zeros(1, config.window + 1, dtype=torch.int64, device=model.device)
    with autocast(model.dtype, model.device):
        return naive_step(model, tokens, actions, NAIVE_STEPS).cpu()


class TrainingStep:
    """Forward, backward and AdamW of tokenizer or dynamics on one batch, ours or naive.

    The clips are images in memory; the dynamics' steps encode them.

    Args:
        preset: Name of the preset.
        part: "tokenizer" or "dynamics".
        batch_size: Clips in the batch.
        device: Device.
        precision: Precision of ours.
    """

    def __init__(self, preset: str, part: str, batch_size: int, device: str, precision: str):
        chosen, self.device = get_preset(preset), torch.device(device)
        self.precision, self.dtype = precision, resolve_precision(precision, self.device)
        self.tokenizer = chosen.tokenizer.build().to(self.device)
        if part == "tokenizer":
            self.model: Any = self.tokenizer
            self.frames_per_clip = chosen.tokenizer_clip_length
        else:
            self.model = chosen.dynamics_for(ACTIONS).build().to(self.device)
            self.frames_per_clip = chosen.dynamics_clip_lengths[0]
            self.tokenizer.eval()
        self._make_batch(batch_size, self.frames_per_clip, chosen.tokenizer.size)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    def _make_batch(self, b: int, t: int, side: int) -> None:
        rng = np.random.default_rng(SEED)
        self.clips: dict[str, Any] = {
            "frames": rng.integers(256, size=(b, t, side, side, 3), dtype=np.uint8),
            "actions": rng.integers(ACTIONS, size=(b, t - 1)),
            "rewards": np.zeros((b, t - 1), np.float32),
            "terminated": np.zeros((b, t - 1), bool),
        }
        self.frames = to_model(torch.from_numpy(self.clips["frames"])).to(self.device)
        self.actions = torch.from_numpy(rng.integers(ACTIONS, size=(b, t))).to(self.device)

    def ours(self, model: Callable | None = None) -> Tensor:
        """Return our loss, of the eager model unless another one is given."""
        if self.model is self.tokenizer:
            batch = {"frames": self.frames}
        else:
            batch = token_batch(self.tokenizer, self.clips, 0, self.frames_per_clip, self.precision)
        with autocast(self.dtype, self.device):
            return (model or self.model)(batch)[0]

    def naive(self) -> Tensor:
        """Return the naive loss in float32."""
        if self.model is self.tokenizer:
            return self.model({"frames": self.frames})[0]
        assert isinstance(self.tokenizer, Tokenizer), "the naive transformer is the counterpart of ours alone"
        return naive_loss(self.tokenizer, self.model, self.frames, self.actions)

    def ways(self, compiled: bool) -> dict[str, Callable[[], Tensor]]:
        """Return the losses to compare by name."""
        ways: dict[str, Callable[[], Tensor]] = {"eager": self.ours, NAIVE: self.naive}
        return ways | ({"compiled": partial(self.ours, torch.compile(self.model, dynamic=False))} if compiled else {})

    def __call__(self, loss: Callable[[], Tensor]) -> None:
        """Take one optimiser step, and wait for it."""
        self.optimizer.zero_grad()
        loss().backward()
        self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def gflop(self) -> float:
        """Return the floating-point operations of one optimiser step of ours, in billions."""
        with FlopCounterMode(display=False) as counter:
            self(self.ours)
        return round(counter.get_total_flops() / 1e9, 1)

    def peak_mb(self) -> int:
        """Return the most memory taken so far, in MiB."""
        return round(_peak_memory(self.device) / 2**20)


def time_training(
    preset: str, part: str, batch_size: int, device: str, precision: str, compiled: bool, rounds: int
) -> Figures:
    """Measure training steps, ours and naive in turn."""
    step = TrainingStep(preset, part, batch_size, device, precision)
    step(step.ours)
    peak_mb = step.peak_mb()  # before the others take theirs
    ways = step.ways(compiled)
    warm_up = {way: round(timed(partial(step, loss)), 1) for way, loss in ways.items()}
    times = [[timed(partial(step, loss)) for loss in ways.values()] for _ in range(rounds)]
    return {
        "batch_size": batch_size,
        "frames_per_clip": step.frames_per_clip,
        "gflop": step.gflop(),
        "peak_mb": peak_mb,
        "warm_up_seconds": warm_up,
        "step_ms": dict(zip(ways, np.median(times, axis=0).round(4) * 1e3, strict=True)),
    }


def time_rewards(checkpoint: str, device: str, precision: str, compiled: bool, batch: int, rounds: int) -> Figures:
    """Measure AutoExplore's scores of several environments in one pass, eager and compiled in turn."""
    model = load_checkpoint(checkpoint, device, precision).model
    ways = {"eager": AutoExplore(model)} | ({"compiled": AutoExplore(model, compile=True)} if compiled else {})
    side, context, window = model.tokenizer.config.size, ways["eager"].context, ways["eager"].window
    frames = torch.randint(0, 256, (batch, context, side, side, 3), dtype=torch.uint8)
    actions = torch.zeros(batch, window - 1, dtype=torch.int64)
    times = [
        [timed(partial(reward.score, frames, actions)) for reward in ways.values()]  # the result is on the CPU
        for _ in range(rounds + 1)
    ]
    rates = batch / np.median(times[1:], axis=0)  # the first round compiles
    return {"batch_size": batch, "scores_per_second": dict(zip(ways, rates.round(1), strict=True))}


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _vector_env(checkpoint: str, batch: int, how: Figures) -> Any:
    env = WorldModelVectorEnv(batch, checkpoint=checkpoint, terminate=False, **how)
    env.reset(seed=SEED)
    return env


def _step_flops(checkpoint: str, batch: int, how: Figures) -> float:
    """Return the floating-point operations of one eager step."""
    env = _vector_env(checkpoint, batch, how | {"compile": False})
    with FlopCounterMode(display=False) as counter:
        env.step(np.zeros(batch, np.int64))
    return counter.get_total_flops()


def _peak_memory(device: torch.device) -> int:
    """Return the peak memory of the device, or of this process, in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
