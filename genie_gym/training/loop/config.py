"""Length, optimiser and bookkeeping of a training run."""

from dataclasses import dataclass

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import more_than_zero

__all__ = ["TrainerConfig"]


@dataclass(frozen=True)
class TrainerConfig:
    """Length, optimiser and bookkeeping of one training run.

    Attributes:
        steps: Optimiser steps in all, or None to go by `minutes`.
        minutes: Time in all, over all resumed pieces, the last validation included; the learning rate then follows the
            clock.
        batch_size: Clips per step and device.
        accumulate: Batches whose gradients are summed into one optimiser step.
        lr: Peak learning rate of AdamW.
        muon_lr: Peak learning rate of Muon for matrices of at least 32 rows and columns; None leaves them to AdamW.
        final_lr: Share of `lr` that is left at the end of the cosine schedule.
        warmup: Steps of linear warm-up of the learning rate.
        weight_decay: Weight decay, on matrices only.
        betas: Decay rates of AdamW's moments.
        max_grad_norm: Gradients are clipped to this norm, those of each model on their own if several are trained.
        ema_decay: Decay of the moving average of the weights, which is what is validated and kept.
        precision: "auto", "float32" or "bfloat16".
        recompute: Recompute activations in the backward pass; see `recompute_activations`.
        compile: Compile forward and backward pass with torch, which takes minutes for each clip length.
        shard: Divide weights, gradients, optimiser state and average among the processes; see `loop.sharding`.
        log_every: Steps between log entries.
        validate_every: Steps between validations.
        save_every: Seconds between saves.
        prefetch: Batches that a thread draws ahead while the step before is computed. They are the same ones. By
            default one on a GPU and none on a CPU.
        seed: Random seed.

    Raises:
        ConfigError: A value is out of range.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 8
    accumulate: int = 1
    lr: float = 1e-3
    muon_lr: float | None = None
    final_lr: float = 0.02
    warmup: int = 100  # Adam's second moments are noise before
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)  # 0.99 rather than 0.999 because runs are short
    max_grad_norm: float = 1.0
    ema_decay: float = 0.99
    precision: str = "auto"
    recompute: bool = False  # spares memory for one more forward pass per step
    compile: bool = False  # on two CPU cores with AMX, 1.1 times the steps of `tiny-transformer`, but fewer of `paper`
    shard: bool = False
    log_every: int = 20
    validate_every: int = 500
    save_every: float = 120.0
    prefetch: int | None = None  # on two cores the thread takes from the step: 112 frames/s in place of 145
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("give either steps or minutes, not both and not neither")
        more_than_zero(minutes=self.minutes)
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps must be 1 or more; got {self.steps}")
        for one, other in (("batch_size", "accumulate"), ("log_every", "validate_every")):
            if min(getattr(self, one), getattr(self, other)) < 1:
                got = f"{getattr(self, one)} and {getattr(self, other)}"
                raise ConfigError(f"{one} and {other} must be 1 or more; got {got}")
        if self.prefetch is not None and self.prefetch < 0:
            raise ConfigError(f"prefetch must be 0 or more; got {self.prefetch}")
        if self.shard and (self.muon_lr or self.compile):
            reason = "Muon (of the preset tiny) takes whole matrices" if self.muon_lr else "it would be compiled"
            raise ConfigError(f"this training cannot be sharded, as {reason}; leave out --shard")
