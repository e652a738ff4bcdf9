"""Which frames of a video are kept: those nearest to the ticks of a clock, by the times at which frames are shown.

Phones and screen recorders show frames at irregular times. Every second frame of such a video is not one frame every
fifteenth of a second, and what moves at a constant speed would seem to jump.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["RATE", "Rate", "choose", "default_rate", "rounded_rate", "usual_rate"]

RATE = 15.0  # steps per second of the console games here: every fourth frame of 60
LONGEST_GAP = 10.0  # seconds that one image may stand still; after that, or if the clock is set back, a scene begins
EVEN, MOSTLY = 0.2, 0.95  # a rate is constant if so many intervals differ less than this from the usual one
LAST = 0.25  # of an interval that the last tick may be late: the last frame is shown for a while too
ROUNDED = 0.02  # a distance between kept frames that is nearly whole is meant to be whole, as from 29.97 to 15


@dataclass(frozen=True)
class Rate:
    """How often a video shows a new frame.

    Attributes:
        value: Frames per second while the image moves; 0 if there are too few frames to tell.
        constant: Whether nearly all frames are that far apart.
    """

    value: float
    constant: bool


def usual_rate(times: np.ndarray) -> Rate:
    """Return the rate of a video, given the times of its frames in seconds, float64 (n,).

    A screen recorder writes no frames while nothing moves, so the long intervals do not count.

    >>> usual_rate(np.array([0, 0.04, 0.08, 0.12, 3.0]))
    Rate(value=25.0, constant=False)
    """
    gaps = np.diff(times)
    gaps = gaps[(gaps > 0) & (gaps <= LONGEST_GAP)]
    if not len(gaps):
        return Rate(0.0, True)
    short = np.quantile(gaps, 0.25)
    usual = gaps[np.abs(gaps - short) <= EVEN * short].mean()
    constant = (np.abs(gaps - usual) <= EVEN * usual).mean() >= MOSTLY
    return Rate(float(1 / usual), bool(constant))


def default_rate(rate: Rate) -> float:
    """Return the frames per second to keep of a video if nothing is asked: about 15.

    >>> default_rate(Rate(25.0, True)), default_rate(Rate(60.0, True)), default_rate(Rate(28.4, False))
    (12.5, 15.0, 15.0)
    """
    if not rate.value:
        return RATE
    if not rate.constant:
        return min(RATE, rate.value)
    return rate.value / max(1, round(rate.value / RATE))


def rounded_rate(rate: Rate, asked: float) -> float:
    """Return the rate nearest to the one asked for at which kept frames of a constant rate are evenly apart.

    >>> rounded_rate(Rate(29.97, True), 15), rounded_rate(Rate(30.0, True), 20)
    (14.985, 20)
    """
    if not rate.value or not rate.constant:
        return asked
    stride = max(rate.value / asked, 1.0)
    return rate.value / round(stride) if abs(stride - round(stride)) < ROUNDED else min(asked, rate.value)


def choose(times: np.ndarray, rate: float) -> tuple[np.ndarray, list[int]]:
    """Choose the frames to keep.

    A frame that is shown for several ticks is kept several times.

    Args:
        times: float64 (n,), when each frame is shown, in seconds.
        rate: Ticks per second.

    Returns:
        int64 (m,), the index of each kept frame, in order; and at which of the m a scene begins, because the image
        stood still for too long or the clock was set back. The first scene is not listed.
    """
    gaps = np.diff(times)
    starts = [0, *(np.flatnonzero((gaps < 0) | (gaps > LONGEST_GAP)) + 1).tolist(), len(times)]
    kept = [first + _nearest(times[first:last] - times[first], rate) for first, last in pairwise(starts)]
    return np.concatenate(kept), np.cumsum([len(scene) for scene in kept])[:-1].tolist()


def _nearest(times: np.ndarray, rate: float) -> np.ndarray:
    """Return the index of the frame nearest to each tick from 0 to the last frame, times float64 (n,) from 0 on.

    Before a frame is shown it is taken only within half a step: while a screen recorder writes nothing, the image
    stands still.
    """
    instant = 1e-6 + 1e-9 * times[-1]  # seconds; files keep times as whole numbers of their own unit
    end = times[-1] + (LAST * np.median(np.diff(times)) if len(times) > 1 else 0)
    ticks = np.arange(int(np.floor(end * rate)) + 1) / rate
    after = np.searchsorted(times, ticks - instant).clip(max=len(times) - 1)
    before = (after - 1).clip(min=0)
    early, late = times[after] - ticks, ticks - times[before]
    return np.where((early <= late + instant) & (early <= 0.5 / rate), after, before)
