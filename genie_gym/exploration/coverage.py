"""State coverage of recorded episodes: distinct views of the screen, and distinct positions of the player."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from einops import reduce

from genie_gym import games
from genie_gym.data import Episode, EpisodeDataset
from genie_gym.errors import ConfigError, DataError, InvalidActionError, printable
from genie_gym.exploration.config import CoverageConfig
from genie_gym.utils.options import make_config
from genie_gym.utils.paths import data_dir, is_folder
from genie_gym.utils.progress import tracked
from genie_gym.world_model.resolve import resolve_game

__all__ = ["CoverageReport", "StateCoverage", "cell_keys", "compare_coverage", "replay_positions"]

# Squares per side and grey levels. Go-Explore (Ecoffet et al. 2021) uses 11 x 8 squares of 8 levels, but sees more
# pixels: here a sprite fills a quarter of a square, and 5,000 frames of Kangaroo visit 2 cells with 8 levels, 219 with
# 32.
SIDE, LEVELS = 8, 32
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # red, green, blue (BT.601)
# Random odd multipliers: the keys of two different cells collide with a probability of about 2^-61.
_MULTIPLIERS = np.random.default_rng(0).integers(2**64, size=SIDE * SIDE, dtype=np.uint64) | np.uint64(1)

Position = tuple[int, ...]


def cell_keys(frames: np.ndarray) -> np.ndarray:
    """Return the key of each frame's cell: frames share a cell if they agree in 8 x 8 squares of 32 grey levels.

    Args:
        frames: uint8 (n, s, s, 3).

    Returns:
        uint64 (n,).

    Raises:
        ConfigError: The side s is not a multiple of 8.
    """
    if frames.ndim != 4 or frames.shape[1] % SIDE or frames.shape[2] % SIDE:
        raise ConfigError(f"frames must have sides that are multiples of {SIDE}, got shape {frames.shape}")
    colours = reduce(frames.astype(np.float32), "n (a h) (b w) c -> n (a b) c", "mean", a=SIDE, b=SIDE)
    levels = (colours @ LUMA * LEVELS / 256).astype(np.uint64)  # (n, 64), 0 to 31
    return (levels * _MULTIPLIERS).sum(1, dtype=np.uint64)  # modulo 2^64


class StateCoverage:
    """The set of visited cells, see `cell_keys`; its length is their number.

    Args:
        keys: Cells visited before, as `keys` returns them.

    >>> coverage = StateCoverage()
    >>> coverage.add(np.zeros((2, 64, 64, 3), np.uint8))
    >>> len(coverage)
    1
    """

    def __init__(self, keys: Sequence[int] | np.ndarray = ()):
        self._keys = {int(key) for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, frames: np.ndarray) -> None:
        """Add the cells of frames uint8 (n, s, s, 3)."""
        self._keys.update(cell_keys(frames).tolist())

    def keys(self) -> np.ndarray:
        """Return the keys of the visited cells in ascending order, uint64 (cells,)."""
        return np.array(sorted(self._keys), np.uint64)


@dataclass(frozen=True)
class CoverageReport:
    """State coverage of one run of one policy.

    Attributes:
        run: Policy and seed, such as "random-0".
        folder: Folder of the dataset.
        frames: Number of frames counted: the first ones recorded. The episodes of an explorer's training are kept in no
            order, so of those any.
        visited_cells: Number of visited cells, see `cell_keys`.
        positions: Number of distinct positions of the player, see `genie_gym.games.ram_positions`; None if unknown.
    """

    run: str
    folder: Path
    frames: int
    visited_cells: int
    positions: int | None

    @property
    def label(self) -> str:
        """The run with its dataset, which tells it apart from runs of the same name in other datasets."""
        folder = self.folder.parent if self.folder.name == "data" else self.folder
        return f"{folder.name}: {self.run}"


def compare_coverage(datasets: CoverageConfig | Sequence[str | Path], **options: Any) -> list[CoverageReport]:
    """Measure the state coverage of every run in some datasets, each on the same number of real frames.

    Args:
        datasets: Names of games, or folders of datasets, all of one game; or a whole configuration.
        options: Fields of `CoverageConfig`, where no configuration is given.

    Raises:
        DataError: A folder holds no dataset or one of another game, or replaying an episode gives other frames.
        ConfigError: Less than one frame is asked for, or no dataset is named.
    """
    if isinstance(datasets, CoverageConfig):
        config = make_config(CoverageConfig, datasets, options)
    else:
        config = make_config(CoverageConfig, None, {"datasets": tuple(map(str, datasets)), **options})
    runs = [run for name in config.datasets for run in _runs(EpisodeDataset(_folder(name)))]
    found = {run.dataset.header["game"]["name"] for run in runs}
    if len(found) > 1:
        raise DataError(
            f"coverage can be compared within one game only; these datasets are of {', '.join(sorted(found))}"
        )
    count = min([config.frames or np.inf, *(run.frames for run in runs)])
    return [run.report(int(count)) for run in runs]


def _folder(name: str) -> Path:
    return Path(name) if is_folder(name) else data_dir(resolve_game(name))


@dataclass(frozen=True)
class _Run:
    """The episodes of one policy with one seed in a dataset."""

    name: str
    dataset: EpisodeDataset
    indices: list[int]

    @property
    def frames(self) -> int:
        return int(self.dataset.lengths[self.indices].sum())

    def report(self, count: int) -> CoverageReport:
        coverage, visited, known, left = StateCoverage(), set[Position](), False, count
        needed = self.indices[: int(np.searchsorted(np.cumsum(self.dataset.lengths[self.indices]), count)) + 1]
        found = zip(needed, replay_positions(self.dataset, needed), strict=True)
        for index, positions in tracked(found, printable(self.name), len(needed), unit="episodes"):
            frames = self.dataset[index].frames[:left]
            coverage.add(frames)
            if positions is not None:
                known, visited = True, visited | set(positions[: len(frames)])
            left -= len(frames)
        return CoverageReport(self.name, self.dataset.folder, count, len(coverage), len(visited) if known else None)


def _runs(dataset: EpisodeDataset) -> list[_Run]:
    """The runs of a dataset, by the ids that `collect` gives to episodes: policy, seed, number."""
    grouped: dict[str, list[int]] = {}
    for index, name in enumerate(dataset.ids):
        grouped.setdefault(name.rpartition("-")[0] or name, []).append(index)
    return [_Run(name, dataset, indices) for name, indices in grouped.items()]


def replay_positions(dataset: EpisodeDataset, indices: Sequence[int]) -> Iterator[list[Position] | None]:
    """Yield the player's position at each frame of recorded episodes, found by replaying them.

    The same seed and actions give the same episode, which is checked by its last frame.

    Args:
        dataset: A dataset made by `genie_gym.collection.collect`, which stores the seed of each episode.
        indices: Indices of the episodes.

    Yields:
        A list of T positions for each episode; None if the game's memory does not hold them, if the game is not
        installed, or if the episode has no seed of its own, as those of an explorer's training.

    Raises:
        DataError: Replaying an episode gives another last frame; the version of the game or emulator has changed. Or it
            has actions that the game lacks.
    """
    spec = games.GameSpec.from_dict(dataset.header["game"])
    if spec.system == "Own" or not games.available(spec.name):
        yield from [None] * len(indices)
        return
    env = games.make(spec)
    try:
        for index in indices:
            episode = dataset[index]
            seeded = type(episode.info.get("seed")) is int and episode.info["seed"] >= 0
            yield _replay(env, episode, dataset.ids[index]) if seeded else None
    finally:
        env.close()


def _replay(env: games.GameEnv, episode: Episode, name: str) -> list[Position] | None:
    frame, info = env.reset(seed=episode.info["seed"])
    found = [info.get("position")]
    for action in episode.actions:
        try:
            frame, _, _, _, info = env.step(action)
        except InvalidActionError as error:
            raise DataError(f"episode {name} has actions that the game lacks: {error}") from error
        found.append(info.get("position"))
    if not np.array_equal(frame, episode.frames[-1]):
        raise DataError(f"replaying episode {name} gives other frames than recorded: another version of the game?")
    first = next((one for one in found if one is not None), None)  # some games tell nothing before the first step
    return None if first is None else [first if one is None else one for one in found]
