"""Stopping a fit as a user does, at a step of one's choice."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from genie_gym.training.loop.trainer import run_training

__all__ = ["StopAfter", "ctrl_c"]


class StopAfter:
    """A sampler that asks its own process to stop while it draws batch number `count`."""

    def __init__(self, sample: Callable[[np.random.Generator, int], Any], count: int, number: int = signal.SIGINT):
        self.sample, self.left, self.number = sample, count, number

    def __call__(self, rng: np.random.Generator, size: int) -> Any:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return self.sample(rng, size)


@contextmanager
def ctrl_c(stage: str, step: int) -> Iterator[None]:
    """Within it, the fit of a stage is interrupted while it draws the batch of that step."""

    def interrupted(model, sample, validate, config, folder, name):
        sample = StopAfter(sample, step) if name == stage else sample
        return run_training(model, sample, validate, replace(config, prefetch=0), folder, name)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("stages", "termination", "upscaler"):
            patch.setattr(f"genie_gym.training.{module}.run_training", interrupted)
        yield
