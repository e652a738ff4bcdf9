"""How far a training run has come, by its steps or by the clock, and the learning rate that follows from it."""

import math
import time

from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.train_state import SavedProgress

__all__ = ["Progress"]


class Progress:
    """How much of a run is done, from 0 to 1.

    By the clock, the last steps end so early that the validation at the end still fits in: it is to take as long as the
    one before, `closing` seconds.

    Attributes:
        seconds: Training time in all, as the processes have last agreed.
    """

    def __init__(self, config: TrainerConfig, saved: SavedProgress):
        self.config, self.step, self.metrics, self.validated = config, saved.step, saved.metrics, saved.validated
        self.closing = saved.closing
        self.earlier_seconds, self._started = saved.seconds, time.monotonic()
        self.seconds = self._saved = saved.seconds

    def clock(self) -> float:
        """Training time in all, by the clock of this process."""
        return self.earlier_seconds + time.monotonic() - self._started

    def to_save(self) -> SavedProgress:
        """What a later call resumes from."""
        return SavedProgress(self.step, self.seconds, self.metrics, self.validated, self.closing)

    def share(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        if self.config.steps is not None:
            return self.step / max(self.config.steps, 1)
        seconds, training = self.seconds, 60 * (self.config.minutes or 0) - self.closing
        return seconds / training if seconds < training else 1.0

    def must_measure_closing(self) -> bool:
        """Whether it must be found out now how long a validation takes: half of the time is over."""
        return self.config.minutes is not None and self.validated < 0 and self.share() >= 0.5

    def done(self) -> bool:
        return self.share() >= 1

    def save_is_due(self) -> bool:
        """Whether to save now, by the time that the processes agreed on: all of them take part in a save."""
        if self.seconds - self._saved < self.config.save_every:
            return False
        self._saved = self.seconds
        return True

    def lr(self) -> float:
        """Learning rate: linear warm-up, then a cosine."""
        c = self.config
        cosine = 0.5 * (1 + math.cos(math.pi * min(self.share(), 1)))
        return c.lr * min(1, (self.step + 1) / max(c.warmup, 1)) * (c.final_lr + (1 - c.final_lr) * cosine)
