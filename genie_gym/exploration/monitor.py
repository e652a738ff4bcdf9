"""Monitoring of an agent's training: how far it is, metrics for TensorBoard, state coverage, and saving."""

import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.collection.agent_policy import AGENT
from genie_gym.errors import CheckpointError
from genie_gym.exploration.coverage import StateCoverage
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import from_jsonable
from genie_gym.utils.progress import ProgressDisplay
from genie_gym.utils.version import code_version

__all__ = ["VISITED_CELLS", "VISITED_POSITIONS", "ExploreMetrics", "TrainingMonitor"]

# In the folder of a training: keys of cells, uint64 (n,), and positions of the player, int64 (n, coordinates).
VISITED_CELLS, VISITED_POSITIONS = "visited_cells.npy", "visited_positions.npy"


@dataclass(frozen=True)
class ExploreMetrics:
    """Metrics of a training at its last update.

    Attributes:
        reward: Mean reward of the steps since the update before, before scaling; with an intrinsic reward, of the steps
            that were scored.
        visited_cells: Number of visited cells in total, see `genie_gym.exploration.coverage`.
        visited_positions: Number of positions of the player in total, see `genie_gym.games.ram_positions`; None if they
            are unknown.
        episode_length: Mean length of the last 100 episodes; None before the first episode has ended.
        game_return: Mean return of the last 100 episodes in the game's own reward; None as above.
    """

    reward: float
    visited_cells: int
    visited_positions: int | None = None
    episode_length: float | None = None
    game_return: float | None = None


class TrainingMonitor:
    """Monitor of one training, a `genie_gym.sb3.callbacks.TrainingObserver`; use it as a context manager.

    Args:
        agent: A Stable-Baselines3 algorithm.
        about: What is saved with the agent: its settings, and "seconds" and "metrics" of earlier calls.
        folder: Folder for agent.safetensors, visited_cells.npy and visited_positions.npy.
        target: Number of steps in total.
        stop: The training stops as soon as this list is not empty.
        progress: Whether to show how far it is.

    Attributes:
        latest: Metrics at the last update; None before the first update.

    Raises:
        CheckpointError: What was saved by earlier calls is damaged.
    """

    def __init__(
        self, agent: Any, about: dict[str, Any], folder: Path, target: int, *, stop: list[int], progress: bool
    ):
        self._agent, self._about, self._folder, self._stop = agent, about, folder, stop
        self._earlier_seconds, self.latest = _earlier(about, folder)
        self._started = time.monotonic()
        self._steps = agent.num_timesteps
        self._coverage = StateCoverage(_load(folder / VISITED_CELLS, np.uint64, 1))
        self._positions = {tuple(one) for one in _load(folder / VISITED_POSITIONS, np.int64, 2).tolist()}
        self._reward_sum, self._reward_count = 0.0, 0  # since the last update
        rollout = agent.n_steps * agent.n_envs  # it ends with a whole one
        total = -(-target // rollout) * rollout
        self._display = ProgressDisplay("training", total, agent.num_timesteps, unit="steps", shown=progress)

    def __enter__(self) -> "TrainingMonitor":
        self._display.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.__exit__(*exception)
        self._earlier_seconds, self._started = self.seconds, float("inf")

    @property
    def seconds(self) -> float:
        """Training time in total, in seconds."""
        return self._earlier_seconds + max(time.monotonic() - self._started, 0)

    def on_step(self, steps: int, frames: np.ndarray, rewards: np.ndarray, infos: Sequence[dict[str, Any]]) -> bool:
        """Take what one step brought into account; return whether the training continues."""
        self._coverage.add(frames)
        self._positions.update(info["position"] for info in infos if "position" in info)
        self._reward_sum += float(rewards.sum())
        self._reward_count += len(rewards)
        self._steps = steps
        self._display.update(self._steps)
        return not self._stop

    def metrics(self) -> dict[str, float]:
        """Return the metrics since the last update under their names in TensorBoard."""
        self.latest = self._measure()
        self._reward_sum, self._reward_count = 0.0, 0
        text = f"reward {self.latest.reward:.3g}, {self.latest.visited_cells:,} visited cells"
        self._display.update(self._steps, text)
        return {f"explore/{name}": value for name, value in asdict(self.latest).items() if value is not None}

    def _measure(self) -> ExploreMetrics:
        reward, episodes = self._reward_sum / max(self._reward_count, 1), self._agent.ep_info_buffer
        if not episodes:
            return ExploreMetrics(reward, len(self._coverage), len(self._positions) or None)
        length, game_return = (float(np.mean([episode[key] for episode in episodes])) for key in ("l", "r"))
        return ExploreMetrics(reward, len(self._coverage), len(self._positions) or None, length, game_return)

    def save(self) -> None:
        """Save the agent, the scale of its reward and its metrics in one file, so that they belong together."""
        from genie_gym.sb3.agent_file import save_agent
        from genie_gym.sb3.reward_wrappers import get_reward_statistics

        _save(self._folder / VISITED_CELLS, self._coverage.keys())
        if self._positions:
            _save(self._folder / VISITED_POSITIONS, np.array(sorted(self._positions), np.int64))
        state = {
            "steps": self._agent.num_timesteps,
            "seconds": self.seconds,
            "metrics": self.latest and asdict(self.latest),
            "reward_statistics": get_reward_statistics(self._agent.get_env()),
            "software": f"genie_gym {code_version()}",
        }
        save_agent(self._agent, self._folder / AGENT, self._about | state)


def _earlier(about: dict[str, Any], folder: Path) -> tuple[float, ExploreMetrics | None]:
    """Return the training time in seconds and the metrics of earlier calls, as saved with the agent."""
    try:
        seconds = from_jsonable(float, about.get("seconds", 0.0), "seconds")
        return seconds, from_jsonable(ExploreMetrics | None, about.get("metrics"), "metrics")
    except ValueError as error:
        raise CheckpointError(f"{folder / AGENT} is damaged ({error}); remove {folder} to start again") from error


def _save(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    atomic_write(path, buffer.getvalue())


def _load(path: Path, dtype: type[np.generic], dims: int) -> np.ndarray:
    """Return what earlier calls visited; nothing if there were none."""
    if not path.exists():
        return np.zeros((0,) * dims, dtype)
    try:
        if not path.is_file():
            raise ValueError("it is no regular file")
        # Mapped rather than read: the file may claim any size.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dims:
            raise ValueError(f"it holds no {dtype.__name__} with {dims} dimension(s)")
        return array
    except (ValueError, OSError, EOFError, SyntaxError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); remove {path.parent} to start again") from error
