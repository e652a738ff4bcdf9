"""Counting the places play has reached: by how the picture looks, and by where the game says the player stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from einops import reduce

from genie_gym import games
from genie_gym.data import Episode, Recording
from genie_gym.errors import ConfigError, DataError
from genie_gym.games.positions import position

__all__ = ["Places", "PlacesReport", "compare", "picture_keys", "replayed_positions"]

# Cells a side and levels of grey. Go-Explore (Ecoffet et al. 2021) has 11 x 8 cells of 8 levels, but sees more pixels:
# here a sprite fills a quarter of a cell, and 5,000 frames of Kangaroo are 2 places with 8 levels, 219 with 32.
SIDE, LEVELS = 8, 32
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # red, green, blue (BT.601)
# Random odd multipliers: two pictures of different cells share a key about once in 2^61.
_MULTIPLIERS = np.random.default_rng(0).integers(2**64, size=SIDE * SIDE, dtype=np.uint64) | np.uint64(1)


def picture_keys(frames: np.ndarray) -> np.ndarray:
    """uint8 (n, s, s, 3) to uint64 (n,): equal for pictures that look the same in 8 x 8 cells of 32 grey levels.

    Raises:
        ConfigError: the side s is no multiple of 8.
    """
    if frames.ndim != 4 or frames.shape[1] % SIDE or frames.shape[2] % SIDE:
        raise ConfigError(f"pictures must have sides that are multiples of {SIDE}, got shape {frames.shape}")
    colours = reduce(frames.astype(np.float32), "n (a h) (b w) c -> n (a b) c", "mean", a=SIDE, b=SIDE)
    cells = (colours @ LUMA * LEVELS / 256).astype(np.uint64)  # (n, 64), 0 to 31
    return (cells * _MULTIPLIERS).sum(1, dtype=np.uint64)  # modulo 2^64


class Places:
    """The different pictures seen so far, as `picture_keys` tells them apart; `len` counts them.

    >>> places = Places()
    >>> places.add(np.zeros((2, 64, 64, 3), np.uint8))
    >>> len(places)
    1
    """

    def __init__(self, keys: Sequence[int] | np.ndarray = ()):
        self._keys = {int(key) for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, frames: np.ndarray) -> None:
        """Notes the places in uint8 (n, s, s, 3)."""
        self._keys.update(picture_keys(frames).tolist())

    def keys(self) -> np.ndarray:
        """uint64 (places,), sorted: `Places(keys)` goes on from there."""
        return np.array(sorted(self._keys), np.uint64)


@dataclass(frozen=True)
class PlacesReport:
    """How many places one run of one policy reached.

    Attributes:
        run: policy and seed, "random-0".
        folder: of the recording.
        frames: how many of the run's frames were counted: those recorded first, but of the play that an explorer
            learned from any, as it is kept in no order.
        pictures: different pictures in them, see `picture_keys`.
        positions: different positions of the player in them, see `genie_gym.games.positions`; None where the game does
            not tell.
    """

    run: str
    folder: Path
    frames: int
    pictures: int
    positions: int | None

    @property
    def label(self) -> str:
        """The run and its recording, among those of several."""
        folder = self.folder.parent if self.folder.name == "data" else self.folder
        return f"{folder.name}: {self.run}"


def compare(folders: Sequence[str | Path], frames: int | None = None) -> list[PlacesReport]:
    """Counts the places of every run in some recordings, each on the same number of real frames.

    Args:
        folders: of recordings, of one game.
        frames: how many of each run; as many as the shortest run has by default, and never more.

    Raises:
        DataError: a folder holds no recording or one of another game, or an episode does not play again as recorded.
        ConfigError: less than one frame is asked for."""
    if frames is not None and frames < 1:
        raise ConfigError(f"frames must be at least 1, got {frames}")
    runs = [run for folder in folders for run in _runs(Recording(folder))]
    names = {run.recording.header["game"]["name"] for run in runs}
    if len(names) > 1:
        raise DataError(f"places can be compared within one game only, these are of {', '.join(sorted(names))}")
    count = min([frames or np.inf, *(run.frames for run in runs)])
    return [run.report(int(count)) for run in runs]


@dataclass(frozen=True)
class _Run:
    """One policy's episodes with one seed, in a recording."""

    name: str
    recording: Recording
    indices: list[int]

    @property
    def frames(self) -> int:
        return int(self.recording.lengths[self.indices].sum())

    def report(self, count: int) -> PlacesReport:
        places, reached, known, left = Places(), set[tuple[int, ...]](), False, count
        needed = self.indices[: int(np.searchsorted(np.cumsum(self.recording.lengths[self.indices]), count)) + 1]
        for episode, positions in zip(self._episodes(needed), self._positions(needed), strict=True):
            part = min(left, len(episode))
            places.add(episode.frames[:part])
            if positions is not None:
                known, reached = True, reached | set(positions[:part])
            left -= part
        return PlacesReport(self.name, self.recording.folder, count, len(places), len(reached) if known else None)

    def _episodes(self, indices: list[int]) -> Iterator[Episode]:
        return (self.recording[index] for index in indices)

    def _positions(self, indices: list[int]) -> Iterator[list[tuple[int, ...]] | None]:
        return replayed_positions(self.recording, indices)


def _runs(recording: Recording) -> list[_Run]:
    """The runs of a recording, by the ids that `collect` gives: policy, seed, number."""
    grouped: dict[str, list[int]] = {}
    for index, name in enumerate(recording.ids):
        grouped.setdefault(name.rpartition("-")[0] or name, []).append(index)
    return [_Run(name, recording, indices) for name, indices in grouped.items()]


def replayed_positions(recording: Recording, indices: Sequence[int]) -> Iterator[list[tuple[int, ...]] | None]:
    """The player's position at each frame of recorded episodes, found by playing them once more.

    The same seed and actions give the same play, which is checked against the last recorded frame.

    Args:
        recording: as `genie_gym.pipeline.collect` makes it, with the seed of each episode.
        indices: of the episodes.

    Yields:
        For each episode a list of T positions; None where the game does not tell, or is not installed here, or where
        the episode began one after another without a seed of its own, as the play that an agent learns from does.

    Raises:
        DataError: an episode does not play again as recorded, since the game's or emulator's version has changed.
    """
    spec = games.GameSpec.from_dict(recording.header["game"])
    if spec.system == "Own" or not games.available(spec.name):
        yield from [None] * len(indices)
        return
    env = games.make(spec)
    try:
        for index in indices:
            episode = recording[index]
            yield _replay(env, episode, recording.ids[index]) if "seed" in episode.info else None
    finally:
        env.close()


def _replay(env: games.GameEnv, episode: Episode, name: str) -> list[tuple[int, ...]] | None:
    frame, info = env.reset(seed=episode.info["seed"])
    first = position(env, info)
    if first is None:
        return None
    positions = [first]
    for action in episode.actions:
        frame, _, _, _, info = env.step(action)
        positions.append(position(env, info) or first)
    if not np.array_equal(frame, episode.frames[-1]):
        raise DataError(f"episode {name} does not play again as it was recorded: another version of the game?")
    return positions
