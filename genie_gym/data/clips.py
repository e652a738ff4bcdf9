"""Windows of consecutive frames cut from a recording's episodes: at random to train on, in order to validate."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from genie_gym.data.recording import Recording
from genie_gym.errors import DataError

__all__ = ["Batch", "Clips"]

Batch = dict[str, np.ndarray]
MOST_IN_MEMORY = 4 * 2**30  # bytes of one recording: several of them may be open at once, and other programs run


class Clips:
    """All windows of `length` frames that fit into the chosen episodes.

    Args:
        recording: where the episodes come from.
        length: frames in a window, at least 2.
        indices: the episodes to use (one side of `split`); all by default.
        ends: False leaves out the last step of episodes that the game ended, for emulators whose last frame is already
            the next episode's first.
        in_memory: loads all frames once, as uint8, if there is room for them, which spares decompressing them again
            and again.

    Raises:
        DataError: no episode is long enough.

    A batch is a dict of arrays, b windows in each:
        frames      uint8 (b, length, h, w, 3)
        actions     int64 (b, length - 1): actions[:, t] leads from frames[:, t] to frames[:, t + 1]
        rewards     float32 (b, length - 1)
        terminated  bool (b, length - 1): True where that action ended the episode
    """

    def __init__(
        self,
        recording: Recording,
        length: int,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        ends: bool = True,
        in_memory: bool = False,
    ):
        if length < 2:
            raise DataError(f"a window needs at least 2 frames, got length {length}")
        self.recording, self.length = recording, length
        self._indices = np.arange(len(recording)) if indices is None else np.asarray(indices, np.int64)
        self._steps = [recording.steps(int(index)) for index in self._indices]
        self._kept = np.array([len(actions) + 1 - (done and not ends) for actions, _, done in self._steps], np.int64)
        if not len(self):
            longest = recording.lengths[self._indices].max(initial=0)
            raise DataError(
                f"no window of {length} frames fits: the longest of {len(self._indices)} episode(s) in "
                f"{recording.folder} has {longest} frames; use shorter windows or record longer episodes"
            )
        self._shape = recording.frames(int(self._indices[0]), 0, 1).shape[1:]
        self._loaded = self._load() if in_memory and self._has_room() else None

    def __len__(self) -> int:
        """The number of different windows."""
        return int(self._windows(self.length).sum())

    def sample(self, rng: np.random.Generator, batch: int, length: int | None = None, overhang: int = 0) -> Batch:
        """Draws `batch` windows, each of all windows equally likely where there is no overhang.

        Args:
            length: frames in a window, at most `self.length`, which is the default.
            overhang: frames that a window may reach beyond its episode before it is pushed back inside, which makes
                each episode's last window 1 + overhang times as likely as others. Without it the last frame is drawn
                least of all: that window alone holds it, while other frames are in `length` of them.
        """
        length = length or self.length
        windows = self._windows(length)
        last = np.cumsum(np.where(windows > 0, windows + overhang, 0))
        picks = rng.integers(last[-1], size=batch)
        episodes = np.searchsorted(last, picks, side="right")
        starts = np.minimum(picks - np.append(0, last)[episodes], windows[episodes] - 1)
        return self._batch(list(zip(episodes.tolist(), starts.tolist(), strict=True)), length)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every episode cut into windows that do not overlap, in order.

        The last one ends where the episode ends; a rest shorter than a window is left out at its beginning. The last
        batch may be smaller; the batches are the same each time.
        """
        places = [
            (episode, start)
            for episode, windows in enumerate(self._windows(self.length).tolist())
            for start in range((windows - 1) % self.length, windows, self.length)
        ]
        for start in range(0, len(places), batch):
            yield self._batch(places[start : start + batch], self.length)

    def _windows(self, length: int) -> np.ndarray:
        """int64 (episodes,): how many windows of `length` frames fit into each."""
        return np.maximum(self._kept - length + 1, 0)

    def _batch(self, places: list[tuple[int, int]], length: int) -> Batch:
        frames = np.empty((len(places), length, *self._shape), np.uint8)
        for row, (episode, start) in zip(frames, places, strict=True):
            self._read_frames(episode, start, row)
        steps = [self._window_steps(episode, start, length) for episode, start in places]
        return {"frames": frames, **{key: np.stack([step[key] for step in steps]) for key in steps[0]}}

    def _window_steps(self, episode: int, start: int, length: int) -> Batch:
        actions, rewards, done = self._steps[episode]
        span = slice(start, start + length - 1)
        terminated = np.zeros(length - 1, bool)
        terminated[-1] = done and span.stop == len(actions)
        return {
            "actions": actions[span],
            "rewards": rewards[span],
            "terminated": terminated,
        }

    def _read_frames(self, episode: int, start: int, out: np.ndarray) -> None:
        if self._loaded is not None:
            out[:] = self._loaded[episode][start : start + len(out)]
        else:
            self.recording.frames(int(self._indices[episode]), start, start + len(out), out)

    def _has_room(self) -> bool:
        needed = int(self.recording.lengths[self._indices].sum()) * math.prod(self._shape)
        free = _free_memory()
        return needed <= MOST_IN_MEMORY and (free is None or needed <= 0.5 * free)  # the rest of a fit needs some, too

    def _load(self) -> list[np.ndarray]:
        lengths = self.recording.lengths
        return [self.recording.frames(int(index), 0, int(lengths[index])) for index in self._indices]


def _free_memory() -> int | None:
    """Bytes a program can take without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
