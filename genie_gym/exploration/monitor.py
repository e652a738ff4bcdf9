"""Monitoring of an agent's training: how far it is, metrics for TensorBoard, state coverage, and saving."""

import io
import time
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

__all__ = ["VISITED_CELLS", "ExploreMetrics", "TrainingMonitor"]

VISITED_CELLS = "visited_cells.npy"  # in the folder of a training


@dataclass(frozen=True)
class ExploreMetrics:
    """Metrics of a training at its last update.

    Attributes:
        reward: Mean reward of the steps since the update before, before scaling; with an intrinsic reward, of the steps
            that were scored.
        visited_cells: Number of visited cells in total, see `genie_gym.exploration.coverage`.
        episode_length: Mean length of the last 100 episodes; None before the first episode has ended.
        game_return: Mean return of the last 100 episodes in the game's own reward; None as above.
    """

    reward: float
    visited_cells: int
    episode_length: float | None = None
    game_return: float | None = None


class TrainingMonitor:
    """Monitor of one training, a `genie_gym.sb3.callbacks.TrainingObserver`; use it as a context manager.

    Args:
        agent: A Stable-Baselines3 algorithm.
        about: What is saved with the agent: its settings, and "seconds" and "metrics" of earlier calls.
        folder: Folder for agent.safetensors and visited_cells.npy.
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
        self._coverage = _load_coverage(folder / VISITED_CELLS)
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

    def on_step(self, steps: int, frames: np.ndarray, rewards: np.ndarray) -> bool:
        """Take the frames and rewards of one step into account; return whether the training continues."""
        self._coverage.add(frames)
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
            return ExploreMetrics(reward, len(self._coverage))
        length, game_return = (float(np.mean([episode[key] for episode in episodes])) for key in ("l", "r"))
        return ExploreMetrics(reward, len(self._coverage), length, game_return)

    def save(self) -> None:
        """Save the agent, the scale of its reward and its metrics in one file, so that they belong together."""
        from genie_gym.sb3.agent_file import save_agent
        from genie_gym.sb3.reward_wrappers import get_reward_statistics

        buffer = io.BytesIO()
        np.save(buffer, self._coverage.keys())
        atomic_write(self._folder / VISITED_CELLS, buffer.getvalue())
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


def _load_coverage(path: Path) -> StateCoverage:
    if not path.exists():
        return StateCoverage()
    try:
        if not path.is_file():
            raise ValueError("it is no regular file")
        # Mapped rather than read: the file may claim any size.
        keys = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(keys, np.ndarray) or keys.dtype != np.uint64 or keys.ndim != 1:
            raise ValueError("it holds no keys of cells")
        return StateCoverage(keys)
    except (ValueError, OSError, EOFError, SyntaxError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); remove {path.parent} to start again") from error
