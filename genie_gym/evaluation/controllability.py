"""Controllability: how much predictions lose when the actions are not the true ones.

Shapes: b clips, c context frames, h frames predicted, s side of a frame in pixels.
"""

import math
from collections.abc import Callable

import numpy as np

from genie_gym.evaluation.config import COMPARED_STEP
from genie_gym.evaluation.results import Controllability
from genie_gym.metrics.image import Frames, psnr

__all__ = ["measure_controllability"]


def measure_controllability(
    predict: Callable[[np.ndarray], Frames],
    predicted: Frames,
    real: Frames,
    actions: np.ndarray,
    context: int,
    choices: np.ndarray,
    seed: int,
) -> Controllability:
    """Measure delta-PSNR at t = 4 in both senses.

    Args:
        predict: Maps actions int64 (b, c + 3) to frames uint8 (b, 4, s, s, 3), with the noise of `predicted`.
        predicted: Frames under the true actions, uint8 (b, h, s, s, 3).
        real: Real frames of the same shape.
        actions: True actions, int64 (b, c - 1 + h).
        context: Number of context frames, c.
        choices: Actions that random ones are drawn from.
        seed: Random seed of the other actions.
    """
    random, other_last = _other_actions(actions[:, : context - 1 + COMPARED_STEP], context, choices, seed)
    at = COMPARED_STEP - 1
    target = real[:, at]
    reference = psnr(predicted[:, at], target)
    losses = (reference - psnr(predict(taken)[:, -1], target) for taken in (random, other_last))
    (delta, error), (last_delta, last_error) = map(_mean_and_error, losses)
    return Controllability(delta, error, last_delta, last_error)


def _other_actions(true: np.ndarray, context: int, choices: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the actions with all after the context drawn at random, and with only the last replaced by another."""
    rng, distinct = np.random.default_rng([seed, 1]), np.unique(choices)
    random, other_last = true.copy(), true.copy()
    random[:, context - 1 :] = choices[rng.integers(len(choices), size=(len(true), COMPARED_STEP))]
    others = np.searchsorted(distinct, true[:, -1]) + rng.integers(1, max(len(distinct), 2), len(true))
    other_last[:, -1] = distinct[others % len(distinct)]
    return random, other_last


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error, NaN for a single value."""
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), float(error)
