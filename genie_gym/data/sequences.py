"""Windows of consecutive frames cut from episodes: random ones to train on, all of them in order to validate on."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from genie_gym.data.dataset import EpisodeDataset
from genie_gym.errors import DataError
from genie_gym.utils.progress import tracked

__all__ = ["Batch", "SequenceDataset"]

Batch = dict[str, np.ndarray]
MAX_IN_MEMORY = 4 * 2**30  # bytes per dataset: several may be open at once, beside other programs


class SequenceDataset:
    """All windows of `length` frames in the chosen episodes.

    A batch is a dict of arrays with b windows each:
        frames      uint8 (b, length, h, w, 3)
        actions     int64 (b, length - 1): actions[:, t] leads from frames[:, t] to frames[:, t + 1]
        rewards     float32 (b, length - 1)
        terminated  bool (b, length - 1): True where that action ended the episode

    Args:
        dataset: The episodes.
        length: Number of frames in a window, at least 2.
        indices: Indices of the episodes to use (one side of `split`); all by default.
        include_terminal: Whether to include the last step of episodes that the game ended. Leave it out for emulators
            whose last frame is already the first of the next episode.
        in_memory: Load all frames once, as uint8, if there is enough memory, which avoids repeated decompression.

    Attributes:
        dataset: The episodes.
        length: Number of frames in a window.

    Raises:
        DataError: No episode is long enough.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        length: int,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        include_terminal: bool = True,
        in_memory: bool = False,
    ):
        if length < 2:
            raise DataError(f"a window needs at least 2 frames, got length {length}")
        self.dataset, self.length = dataset, length
        self._indices = np.arange(len(dataset)) if indices is None else np.asarray(indices, np.int64)
        self._steps = [dataset.steps(int(index)) for index in self._indices]
        self._usable = np.array(
            [len(actions) + 1 - (ended and not include_terminal) for actions, _, ended in self._steps], np.int64
        )
        if not len(self):
            longest = dataset.lengths[self._indices].max(initial=0)
            raise DataError(
                f"no window of {length} frames fits: the longest of {len(self._indices)} episode(s) in "
                f"{dataset.folder} has {longest} frames; use shorter windows or record longer episodes"
            )
        self._shape = dataset.frames(int(self._indices[0]), 0, 1).shape[1:]
        self._loaded = self._load() if in_memory and self._fits_in_memory() else None

    def __len__(self) -> int:
        """Return the number of different windows."""
        return int(self._windows(self.length).sum())

    def named_parts(self) -> "dict[str, SequenceDataset]":
        """Return the windows by the name "", as `MixtureDataset` does that of several games by the games' names."""
        return {"": self}

    def sample(
        self, rng: np.random.Generator, batch: int, length: int | None = None, overhang: int = 0, group: int = 1
    ) -> Batch:
        """Sample `batch` windows, uniformly over all windows unless there is an overhang.

        Args:
            rng: Source of randomness.
            batch: Number of windows.
            length: Number of frames in a window, at most `self.length`, which is the default.
            overhang: Number of frames by which a sampled window may pass the end of its episode before it is moved
                back inside. This makes the last window of each episode 1 + overhang times as likely as others. Without
                it the last frame is sampled least, because only one window holds it where `length` hold other frames.
            group: Of no matter here: all windows come from the same dataset.
        """
        length = length or self.length
        windows = self._windows(length)
        last = np.cumsum(np.where(windows > 0, windows + overhang, 0))
        picks = rng.integers(last[-1], size=batch)
        episodes = np.searchsorted(last, picks, side="right")
        starts = np.minimum(picks - np.append(0, last)[episodes], windows[episodes] - 1)
        return self._batch(list(zip(episodes.tolist(), starts.tolist(), strict=True)), length)

    def in_order(self, batch: int, at_most: int | None = None) -> Iterator[Batch]:
        """Iterate over non-overlapping windows of every episode, in order; the same each time.

        The last window ends where the episode ends; frames that do not fill a window are left out at the beginning.
        The last batch may be smaller.

        Args:
            batch: Number of windows in a batch.
            at_most: Number of windows in all, evenly spaced among them; all by default.
        """
        places = [
            (episode, start)
            for episode, windows in enumerate(self._windows(self.length).tolist())
            for start in range((windows - 1) % self.length, windows, self.length)
        ]
        if at_most is not None and at_most < len(places):
            places = [places[i] for i in np.linspace(0, len(places) - 1, at_most).round().astype(int)]
        for start in range(0, len(places), batch):
            yield self._batch(places[start : start + batch], self.length)

    def _windows(self, length: int) -> np.ndarray:
        """Return the number of windows of `length` frames in each episode, int64 (episodes,)."""
        return np.maximum(self._usable - length + 1, 0)

    def _batch(self, places: list[tuple[int, int]], length: int) -> Batch:
        frames = np.empty((len(places), length, *self._shape), np.uint8)
        for row, (episode, start) in zip(frames, places, strict=True):
            self._read_frames(episode, start, row)
        steps = [self._window_steps(episode, start, length) for episode, start in places]
        return {"frames": frames, **{key: np.stack([step[key] for step in steps]) for key in steps[0]}}

    def _window_steps(self, episode: int, start: int, length: int) -> Batch:
        actions, rewards, ended = self._steps[episode]
        span = slice(start, start + length - 1)
        terminated = np.zeros(length - 1, bool)
        terminated[-1] = ended and span.stop == len(actions)
        return {
            "actions": actions[span],
            "rewards": rewards[span],
            "terminated": terminated,
        }

    def _read_frames(self, episode: int, start: int, out: np.ndarray) -> None:
        if self._loaded is not None:
            out[:] = self._loaded[episode][start : start + len(out)]
        else:
            self.dataset.frames(int(self._indices[episode]), start, start + len(out), out)

    def _fits_in_memory(self) -> bool:
        needed = int(self.dataset.lengths[self._indices].sum()) * math.prod(self._shape)
        free = _free_memory()
        return needed <= MAX_IN_MEMORY and (free is None or needed <= 0.5 * free)  # training needs memory as well

    def _load(self) -> list[np.ndarray]:
        lengths = self.dataset.lengths
        indices = tracked(self._indices.tolist(), "reading", len(self._indices), unit="episodes")
        return [self.dataset.frames(index, 0, int(lengths[index])) for index in indices]


def _free_memory() -> int | None:
    """Return the bytes that a program can use without swapping, None if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
