"""The one training loop: any module whose forward takes a batch and returns (loss, metrics) is fitted by it."""

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from genie_gym.checks import more_than_zero
from genie_gym.claims import claimed
from genie_gym.errors import ConfigError
from genie_gym.files import sweep
from genie_gym.fit.average import WeightAverage
from genie_gym.fit.compiling import compiled, compiler_failures_told
from genie_gym.fit.report import Reporter
from genie_gym.fit.state import load_state, numpy_stream, save_state
from genie_gym.models.transformer import recompute_activations
from genie_gym.precision import resolve
from genie_gym.stopping import stop_signal

__all__ = ["FitConfig", "FitReport", "fit", "fit_device"]

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast.

    Attributes:
        steps: optimiser steps in all, or None to go by `minutes`.
        minutes: time in all, over all resumed pieces; the learning rate then follows the clock.
        batch: clips a step (a device).
        accumulate: steps of `batch` clips summed into one optimiser step.
        lr: peak learning rate of AdamW.
        final_lr: share of `lr` left at the end of the cosine.
        warmup: steps of linear warm-up; Adam's second moments are noise before.
        weight_decay: of AdamW, on matrices only.
        betas: of AdamW; 0.99 rather than 0.999 because fits are short.
        clip: largest gradient norm.
        average: decay of the moving average of the weights, which is what is validated and kept; less at first.
        precision: "auto", "float32" or "bfloat16".
        recompute: spare memory for one forward pass more a step; see recompute_activations.
        compile: lets torch compile forward and backward: minutes for each length of clips, then, on two CPU cores with
            AMX, 1.1 times the steps of `tiny`, but fewer of `paper`.
        log_every, validate_every: in steps.
        save_every: in seconds.
        seed: of everything random.
    """

    steps: int | None = None
    minutes: float | None = None
    batch: int = 8
    accumulate: int = 1
    lr: float = 1e-3
    final_lr: float = 0.02
    warmup: int = 100
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    average: float = 0.99
    precision: str = "auto"
    recompute: bool = False
    compile: bool = False
    log_every: int = 20
    validate_every: int = 500
    save_every: float = 120.0
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("give either steps or minutes, not both and not neither")
        more_than_zero(minutes=self.minutes)
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps must be 1 or more; got {self.steps}")
        for one, other in (("batch", "accumulate"), ("log_every", "validate_every")):
            if min(getattr(self, one), getattr(self, other)) < 1:
                got = f"{getattr(self, one)} and {getattr(self, other)}"
                raise ConfigError(f"{one} and {other} must be 1 or more; got {got}")


@dataclass
class FitReport:
    """How a fit ended: optimiser steps and seconds in all, the last validation, and whether it came to its end."""

    steps: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    finished: bool = True


def fit(
    model: nn.Module,
    sample: Callable[[np.random.Generator, int], Batch],
    validate: Callable[[nn.Module], dict[str, Any]],
    config: FitConfig,
    folder: Path,
    name: str = "fit",
) -> FitReport:
    """Fits a model in place, going on from `folder` if an earlier call stopped there.

    After it the model holds the averaged weights, in eval mode. Ctrl-C (or SIGTERM) saves and returns a report with
    `finished=False`; the same call goes on from there, to the bit.

    Args:
        model: forward(batch) -> (scalar loss, dict of scalars); each batch also holds "progress", the share of the fit
            that lies behind.
        sample: draws a batch of the given size with the given generator, on any device.
        validate: figures of the averaged model over the whole validation set; a value may also be a uint8 clip
            (t, h, w, 3), shown in TensorBoard.
        config: how long and how fast.
        folder: for the state and TensorBoard's events.
        name: what the progress line calls it.

    Raises:
        ConfigError: torch could not compile the model (see FitConfig.compile), and what was saved last is kept; or
            another process is fitting in this folder.
    """
    fabric = _fabric(config)
    fabric.launch()  # joins the other processes of torchrun, if any
    with claimed(folder) if fabric.is_global_zero else nullcontext():
        return _fit(fabric, model, sample, validate, config, folder, name)


def _fit(
    fabric: Fabric,
    model: nn.Module,
    sample: Callable[[np.random.Generator, int], Batch],
    validate: Callable[[nn.Module], dict[str, Any]],
    config: FitConfig,
    folder: Path,
    name: str,
) -> FitReport:
    """`fit`, once the folder is this run's alone."""
    torch.manual_seed(config.seed)
    recompute_activations(model, config.recompute)
    bare, optimizer = model, _optimizer(model, config)
    model, optimizer = fabric.setup(compiled(model, fabric.device) if config.compile else model, optimizer)
    average = WeightAverage(bare, config.average)
    path = folder / "state.safetensors"
    progress = _earlier(fabric, path, bare, average.model, optimizer)
    rng = numpy_stream(progress["numpy"], config.seed)
    if fabric.global_rank:  # the other processes of a run draw other clips, masks and noise
        rng = np.random.default_rng([config.seed, fabric.global_rank, progress["step"]])
        torch.manual_seed(int(rng.integers(2**63)))
    run = _Run(config, fabric, progress["step"], progress["seconds"], progress["metrics"])

    def save() -> None:
        if fabric.is_global_zero:
            save_state(path, bare, average.model, optimizer, run.progress() | {"numpy": rng.bit_generator.state})

    told = compiler_failures_told() if config.compile else nullcontext()
    with Reporter(folder, name, enabled=fabric.is_global_zero) as reporter, stop_signal() as stop, told:
        while not _any(fabric, run.done() or bool(stop)):
            metrics = _step(run, model, optimizer, lambda: sample(rng, config.batch))
            average.update(bare, run.step)
            if run.step % config.log_every == 0:
                reporter.log(run.step, run.share(), run.seconds(), metrics)
            if run.step % config.validate_every == 0:
                run.metrics = reporter.validation(run.step, validate(average.model))
            if run.due():
                save()
        finished = _any(fabric, run.done())  # by minutes, a process that began later is not done yet
        if finished and (run.step > progress["step"] or not run.metrics):
            run.metrics = reporter.validation(run.step, validate(average.model))
        save()
        finished = finished and not _any(fabric, bool(stop))  # asked to stop while validating: no next stage either
    bare.load_state_dict(fabric.broadcast(average.model.state_dict()))
    bare.eval()
    return FitReport(run.step, run.seconds(), run.metrics, finished)


def _earlier(fabric: Fabric, path: Path, model: nn.Module, average: nn.Module, optimizer: Any) -> dict[str, Any]:
    """How far an earlier call came, its weights put back; clears away what a killed save left."""
    if fabric.is_global_zero:
        sweep(path.parent)
    if path.exists():
        return load_state(path, model, average, optimizer)
    return {"step": 0, "seconds": 0.0, "numpy": None, "metrics": {}}


class _Run:
    """Where a fit stands on its way from 0 to 1."""

    def __init__(self, config: FitConfig, fabric: Fabric, step: int, seconds: float, metrics: dict[str, float]):
        self.config, self.fabric, self.step, self.metrics = config, fabric, step, metrics
        self._before, self._since = seconds, time.monotonic()
        self._saved = self._since

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._since

    def progress(self) -> dict[str, Any]:
        """What a later call goes on from, but for the stream that draws clips."""
        return {"step": self.step, "seconds": self.seconds(), "metrics": self.metrics}

    def share(self) -> float:
        """The part of the way that lies behind, 0 to 1."""
        if self.config.steps is not None:
            return self.step / max(self.config.steps, 1)
        return self.seconds() / (60 * (self.config.minutes or 0))

    def done(self) -> bool:
        return self.share() >= 1

    def due(self) -> bool:
        """Whether it is time to save."""
        now = time.monotonic()
        if now - self._saved < self.config.save_every:
            return False
        self._saved = now
        return True

    def lr(self) -> float:
        c = self.config
        cosine = 0.5 * (1 + math.cos(math.pi * min(self.share(), 1)))
        return c.lr * min(1, (self.step + 1) / max(c.warmup, 1)) * (c.final_lr + (1 - c.final_lr) * cosine)


def _step(run: _Run, model: Any, optimizer: Any, sample: Callable[[], Batch]) -> dict[str, float]:
    """One optimiser step over `accumulate` batches; returns the metrics of the last."""
    model.train()
    rate = run.lr()
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    count = run.config.accumulate
    for i in range(count):
        batch = run.fabric.to_device(sample() | {"progress": torch.tensor(run.share())})
        with run.fabric.no_backward_sync(model, enabled=i < count - 1):
            loss, metrics = model(batch)
            run.fabric.backward(loss / count)
    run.fabric.clip_gradients(model, optimizer, max_norm=run.config.clip, error_if_nonfinite=False)
    optimizer.step()
    run.step += 1
    if run.step % run.config.log_every:
        return {}
    return {"loss": loss.item(), "lr": rate} | {name: float(value) for name, value in metrics.items()}


def fit_device() -> torch.device:
    """Where this process trains: its own CUDA device if there is one."""
    return (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def _any(fabric: Fabric, flag: bool) -> bool:
    """Whether any process says so: all must leave the loop at the same step."""
    if fabric.world_size == 1:
        return flag
    total: Any = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    return total.item() > 0


def _fabric(config: FitConfig) -> Fabric:
    """One device, or those that torchrun started this process for."""
    nodes, local = os.environ.get("GROUP_WORLD_SIZE", "1"), os.environ.get("LOCAL_WORLD_SIZE", "1")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    low = resolve(config.precision, device) == torch.bfloat16
    # The plugin itself, as its name would print a line about it at every fit.
    precision = MixedPrecision("bf16-mixed", device) if low else Precision()
    return Fabric(accelerator=device, devices=int(local), num_nodes=int(nodes), plugins=precision)


def _optimizer(model: nn.Module, config: FitConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices but neither norms nor biases."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=config.betas, fused=True)
