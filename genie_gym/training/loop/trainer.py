"""The one training loop: it trains any module whose forward takes a batch and returns (loss, metrics)."""

import copy
import itertools
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

from genie_gym.errors import ConfigError
from genie_gym.models.transformer import recompute_activations
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.ema import averaged_model, whole_average
from genie_gym.training.loop.logger import TrainingLogger
from genie_gym.training.loop.muon import MuonAdamW
from genie_gym.training.loop.progress import Progress
from genie_gym.training.loop.sharded_state import load_sharded_state, save_sharded_state
from genie_gym.training.loop.sharding import ShardedAverage, own_part, sharding_strategy, whole_value
from genie_gym.training.loop.train_state import SavedProgress, load_state, save_state
from genie_gym.utils.atomic import remove_partial_files
from genie_gym.utils.compile import compile_for_training, compiler_errors_as_config_errors
from genie_gym.utils.device import kept_global_state
from genie_gym.utils.locks import run_lock
from genie_gym.utils.parallel.ahead import Ahead
from genie_gym.utils.parallel.processes import (
    from_first_process,
    join_processes,
    num_processes,
    process_number,
    summed_over_processes,
)
from genie_gym.utils.precision import resolve_precision
from genie_gym.utils.signals import stop_signal

__all__ = ["STATES", "StageReport", "batch_seed", "run_training", "training_device"]

STATES = ("state.safetensors", "state.json")  # of whole weights, and of sharded ones
SHARED = "give --run a folder that all machines share"
MUON_SIDE, MUON_DECAY = 32, 0.01  # smaller matrices gain nothing

Batch = dict[str, Tensor]
Sample = Callable[[np.random.Generator, int], Batch]
Validate = Callable[[nn.Module], dict[str, Any]]


@dataclass(frozen=True)
class StageReport:
    """How a training run ended.

    Attributes:
        steps: Optimiser steps in all.
        seconds: Training time in all.
        metrics: Results of the last validation.
        finished: Whether it came to its end; False if it was interrupted and can be resumed.
        earlier_seconds: Training time of earlier calls.
    """

    steps: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    finished: bool = True
    earlier_seconds: float = 0.0


@kept_global_state()
def run_training(
    model: nn.Module,
    sample: Sample,
    validate: Validate,
    config: TrainerConfig,
    folder: Path,
    name: str = "training",
) -> StageReport:
    """Train a module in place, resumed from `folder` if an earlier call was interrupted there.

    Processes that torchrun started train together: each draws batches of its own, and they are one process that
    accumulates as many.

    Afterwards the module holds the averaged weights, in eval mode. Ctrl-C (or SIGTERM) saves and returns a report with
    `finished=False`; the same call then resumes the run, with bit-identical results.

    Args:
        model: Its forward(batch) returns a scalar loss and a dict of scalars. Each batch also holds "progress", the
            share of the training that is done, from 0 to 1. If it is several models, its method `models()` lists them.
        sample: Draws a batch of the given size with the given generator, on any device; called in a thread.
        validate: Metrics of the averaged model over the whole validation set; a value may also be a uint8 clip
            (t, h, w, 3), shown in TensorBoard.
        config: Length, optimiser and bookkeeping.
        folder: Folder of the training state and of TensorBoard's events.
        name: Name of the run in log lines.

    Raises:
        ConfigError: The loss is not finite or torch could not compile the module (what was saved last is kept), or
            another process is training in this folder.
    """
    join_processes()
    fabric = _fabric(config)
    fabric.launch()
    with run_lock(folder) if fabric.is_global_zero else nullcontext():
        run = _Run(fabric, model, sample, validate, config, folder, name)
        compiler = compiler_errors_as_config_errors() if config.compile else nullcontext()
        with TrainingLogger(folder, name, enabled=fabric.is_global_zero) as logger, stop_signal() as stop, compiler:
            finished = run.train(logger, stop)
        run.keep_average()
        progress = run.progress
        return StageReport(
            progress.step, progress.seconds, progress.metrics, finished, earlier_seconds=progress.earlier_seconds
        )


class _Run:
    """A training run: the module, its average, the optimiser and the progress, as they were saved last."""

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        sample: Sample,
        validate: Validate,
        config: TrainerConfig,
        folder: Path,
        name: str,
    ):
        torch.manual_seed(config.seed)
        recompute_activations(model, config.recompute)
        self.fabric, self.sample, self.validate, self.config = fabric, sample, validate, config
        self.result, self.name, self.path = model, name, folder / STATES[config.shard]
        sharded = config.shard and num_processes() > 1
        self.bare = copy.deepcopy(model) if sharded else model
        compiled = compile_for_training(self.bare, fabric.device) if config.compile else self.bare
        self.model = fabric.setup_module(compiled)  # first, as only then are the weights sharded
        self.optimizer: Any = fabric.setup_optimizers(_optimizer(self.bare, config))
        decay = config.ema_decay
        self.average: Any = ShardedAverage(self.bare, model, decay) if sharded else averaged_model(model, decay)
        self.diverged = torch.zeros((), dtype=torch.bool, device=fabric.device)
        self.progress = Progress(config, self._load())

    def _load(self) -> SavedProgress:
        """Restore what an earlier call saved; clear away what a killed save left."""
        if self.fabric.is_global_zero:
            remove_partial_files(self.path.parent)
        saved, other = SavedProgress(), self.path.with_name(STATES[not self.config.shard])
        if other.exists():
            way = ("without", "leave it out") if self.config.shard else ("with", "give it again")
            raise ConfigError(f"the training in {other.parent} was begun {way[0]} --shard; {way[1]}")
        if self._is_there():
            load = load_sharded_state if self.config.shard else load_state
            saved = load(self.path, self.bare, self.average, self.optimizer.optimizer)
        first = int(from_first_process(torch.tensor(saved.step)))
        if saved.step != first:
            raise ConfigError(
                f"{self.path.parent} is at step {saved.step} for process {process_number()}, and at step {first} for "
                f"the first one; {SHARED}"
            )
        return saved

    def _is_there(self) -> bool:
        """Whether something was saved: for all processes, as they read a sharded state together, or for none."""
        count = int(summed_over_processes(torch.tensor(int(self.path.exists()))))
        if 0 < count < num_processes():
            raise ConfigError(f"{self.path} is there for {count} of {num_processes()} processes; {SHARED}")
        return count > 0

    def _batches(self) -> Ahead[Batch]:
        """Batches from where the training is; which ones they are depends on the seed and their numbers only."""
        steps = itertools.count(self.progress.step)
        numbers = ((step, part) for step in steps for part in range(self.config.accumulate))
        prefetch = self.config.prefetch
        if prefetch is None:
            prefetch = int(self.fabric.device.type == "cuda")
        return Ahead(lambda number: self._draw(*number), numbers, prefetch)

    def _draw(self, step: int, part: int) -> Batch:
        rng = np.random.default_rng(batch_seed(self.config.seed, step, self._number(part)))
        return self.sample(rng, self.config.batch_size)

    def _number(self, part: int) -> int:
        """The number of a batch among those of one step, over all processes."""
        return part * num_processes() + process_number()

    def _seed_noise(self, part: int) -> None:
        """Seed the generator of masks, dropout and other noise, for the next batch."""
        seed = batch_seed(self.config.seed, self.progress.step, self._number(part)).spawn(1)[0]
        state = int(seed.generate_state(1, np.uint64)[0] >> 1)
        torch.default_generator.manual_seed(state)  # that of the device alone: to seed all takes a millisecond
        if self.fabric.device.type == "cuda":
            torch.cuda.manual_seed(state)

    def train(self, logger: TrainingLogger, stop: Any) -> bool:
        """Train to the end or until a signal, then save; returns whether the run is finished."""
        progress = self.progress
        with self._batches() as batches:
            while not (self._agree(stop) or progress.done()):
                logged = (progress.step + 1) % self.config.log_every == 0 or logger.waits_for_a_line()
                metrics = self._step(batches, logged)
                self.average.update_parameters(self.bare)
                if logged:
                    logger.log(progress.step, progress.share(), progress.seconds, metrics)
                if progress.step % self.config.validate_every == 0 or progress.must_measure_closing():
                    self._validate(logger)
                if progress.save_is_due():
                    self._save()
        finished = progress.done()
        if finished and progress.validated != progress.step:  # a killed run may have saved its last step before that
            self._validate(logger)
        stopped = self._agree(stop)  # stopped while validating: the next stage must not start
        self._save()
        return finished and not stopped

    def _agree(self, stop: Any) -> bool:
        """Take the time of the first process, and return whether any was told to stop: all must do so at one step."""
        own = [self.progress.clock() if process_number() == 0 else 0.0, float(bool(stop))]
        seconds, stopped = summed_over_processes(torch.tensor(own, dtype=torch.float64)).tolist()
        self.progress.seconds = seconds
        return stopped > 0

    def _step(self, batches: Ahead[Batch], logged: bool) -> dict[str, float]:
        """One optimiser step over `accumulate` batches; returns the metrics of the last batch if they are logged."""
        self.model.train()
        lr, count = self.progress.lr(), self.config.accumulate
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["relative_lr"]
        self.optimizer.zero_grad()
        for i in range(count):
            batch = batches.take() | {"progress": torch.tensor(self.progress.share())}
            batch = self.fabric.to_device(batch)
            self._seed_noise(i)
            with self.fabric.no_backward_sync(self.model, enabled=i < count - 1):
                loss, metrics = self.model(batch)
                self.fabric.backward(loss / count)
        most = self.config.max_grad_norm
        norms = [whole_value(nn.utils.clip_grad_norm_(part.parameters(), most)) for part in self._models()]
        self.diverged |= ~torch.stack([loss.detach().float(), *norms]).isfinite().all()
        if self.fabric.device.type == "cpu":  # asking a GPU would wait for it
            self._require_finite()
        self.optimizer.step()
        self.progress.step += 1
        if not logged:
            return {}  # reading them would wait for the device
        self._require_finite()
        return {"loss": loss.item(), "lr": lr} | {name: float(value) for name, value in metrics.items()}

    def _models(self) -> list[nn.Module]:
        """Models whose gradients are clipped on their own: large ones of one must not hold back the other."""
        return self.bare.models() if hasattr(self.bare, "models") else [self.bare]  # type: ignore[operator]

    def _require_finite(self) -> None:
        """Stop if the loss or a gradient was infinite or NaN; what was saved last is from before."""
        if self.diverged:
            kept = f"what was saved last is kept in {self.path.parent}" if self.path.exists() else "nothing was saved"
            raise ConfigError(
                f"the loss of {self.name} is not finite after step {self.progress.step}; {kept}. Look for values out "
                f"of range in the data, or lower the learning rate, {self.config.lr:g} (--lr-scale of finetune and "
                "refit, lr in the recipe of a preset)"
            )

    def _validate(self, logger: TrainingLogger) -> None:
        self._require_finite()
        started = time.monotonic()
        with whole_average(self.average) as average:
            results = self.validate(average)
        self.progress.metrics = logger.log_validation(self.progress.step, results)
        seconds = torch.tensor(time.monotonic() - started, dtype=torch.float64)
        self.progress.validated, self.progress.closing = self.progress.step, float(from_first_process(seconds))

    def _save(self) -> None:
        values = [*self.bare.state_dict().values(), *self.average.state_dict().values()]
        damaged = torch.stack([~own_part(one).isfinite().all().to(self.fabric.device) for one in values]).any()
        self.diverged |= summed_over_processes(damaged.int()) > 0  # each has its part of the weights
        self._require_finite()
        everything = self.path, self.bare, self.average, self.optimizer.optimizer, self.progress.to_save()
        if self.config.shard:
            save_sharded_state(*everything)
        elif self.fabric.is_global_zero:
            save_state(*everything)

    def keep_average(self) -> None:
        """Put the averaged weights into the module."""
        with whole_average(self.average) as average:
            self.result.load_state_dict(average.state_dict())
        self.result.to(self.fabric.device).eval()


def batch_seed(seed: int, step: int, number: int) -> np.random.SeedSequence:
    """Return the seed of the generator that draws batch `number` of optimiser step `step`, both from 0.

    Resumed anywhere, by however many processes, a training goes on with the same batches.
    """
    return np.random.SeedSequence([seed, step, number])


def training_device() -> torch.device:
    """Return the device this process trains on: its own CUDA device if there is one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


class _Autocast(MixedPrecision):
    """Matrix products in bfloat16, of batches as they are: targets and motions of the camera need all their digits."""

    def convert_input(self, data: Any) -> Any:
        return data


def _fabric(config: TrainerConfig) -> Fabric:
    """One device, or those that torchrun started this process for."""
    nodes, local = os.environ.get("GROUP_WORLD_SIZE", "1"), os.environ.get("LOCAL_WORLD_SIZE", "1")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    low = resolve_precision(config.precision, device) == torch.bfloat16
    # The plugin itself, as its name would print a line about it in every run.
    precision = _Autocast("bf16-mixed", device) if low else Precision()
    strategy = sharding_strategy() if config.shard and num_processes() > 1 else "auto"
    return Fabric(accelerator=device, strategy=strategy, devices=int(local), num_nodes=int(nodes), plugins=precision)


def _optimizer(model: nn.Module, config: TrainerConfig) -> torch.optim.Optimizer:
    """AdamW that decays matrices but neither norms nor biases; with `muon_lr`, Muon for large kernels of convolutions.

    Linear layers stay with AdamW: behind large features Muon's steps, of one size whatever the gradient, silenced them.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    kernels = [p for p in trained if hasattr(p, "is_kernel") and min(p.shape) >= MUON_SIDE] if config.muon_lr else []
    chosen = {id(p) for p in kernels}
    others = [p for p in trained if id(p) not in chosen]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay, "relative_lr": 1.0},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0, "relative_lr": 1.0},
    ]
    if not config.muon_lr:
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=config.betas, fused=True)
    relative = config.muon_lr / config.lr
    muon = {"params": kernels, "weight_decay": MUON_DECAY, "relative_lr": relative, "muon": True}
    groups = [muon, *({**group, "muon": False} for group in groups)]
    return MuonAdamW([{**group, "lr": config.lr} for group in groups if group["params"]], config.betas)
