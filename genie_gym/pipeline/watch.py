"""What is seen of an agent's training while it runs: a progress bar, figures for TensorBoard, places reached."""

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from genie_gym.files import write_aside
from genie_gym.pipeline.agent_policy import AGENT
from genie_gym.pipeline.places import Places
from genie_gym.pipeline.provenance import code_version

__all__ = ["TrainingWatch"]


class TrainingWatch:
    """Follows one training, as `genie_gym.sb3.training.Watcher`; a context manager around it.

    Args:
        agent: a Stable-Baselines3 algorithm; its environment pays with a `scale`, kept across pieces of a training.
        about: what is known of it so far: "seconds" and "figures" of earlier pieces, and what else to save with it.
        folder: for agent.zip and places.npy.
        target: steps in all.
        stop: the training ends as soon as this holds something.
        shown: whether there is a bar.

    Attributes:
        summary: the figures of the last update: "reward", "episode_length", "game_return", "places".
    """

    def __init__(self, agent: Any, about: dict[str, Any], folder: Path, target: int, stop: list[int], shown: bool):
        self._agent, self._about, self._folder, self._stop = agent, about, folder, stop
        self._before, self._started = about.get("seconds", 0.0), time.monotonic()
        self.summary: dict[str, float] = about.get("figures", {})
        self._places = _load(folder / "places.npy")
        self._paid, self._steps = 0.0, 0  # of the steps with a reward since the last update
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"))
        seen = (TextColumn("{task.fields[figures]}"), TimeRemainingColumn())
        self._bar = Progress(*columns, *seen, disable=not shown)
        self._task = self._bar.add_task("steps", total=target, completed=agent.num_timesteps, figures="")

    def __enter__(self) -> "TrainingWatch":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()
        self._before, self._started = self.seconds, float("inf")

    @property
    def seconds(self) -> float:
        """Time of training in all."""
        return self._before + max(time.monotonic() - self._started, 0)

    def see(self, steps: int, frames: np.ndarray, rewards: np.ndarray) -> bool:
        """Notes the places and the reward."""
        self._places.add(frames)
        self._paid += float(rewards.sum())
        self._steps += len(rewards)
        self._bar.update(self._task, completed=steps)
        return not self._stop

    def figures(self) -> dict[str, float]:
        """The summary's figures, under the names TensorBoard shows; begins a new mean of the reward."""
        ends = self._agent.ep_info_buffer or []
        self.summary = {"reward": float(self._paid / max(self._steps, 1))}
        if ends:
            self.summary["episode_length"] = float(np.mean([end["l"] for end in ends]))
            self.summary["game_return"] = float(np.mean([end["r"] for end in ends]))
        self.summary["places"] = len(self._places)
        self._paid, self._steps = 0.0, 0
        shown = f"reward {self.summary['reward']:.3g}, {len(self._places):,} places"
        self._bar.update(self._task, figures=shown)
        return {f"explore/{name}": value for name, value in self.summary.items()}

    def save(self) -> None:
        """Agent, scale of the reward and figures in one file, so that they belong together."""
        from genie_gym.sb3.agents import save_agent
        from genie_gym.sb3.paid import get_scale

        buffer = io.BytesIO()
        np.save(buffer, self._places.keys())
        write_aside(self._folder / "places.npy", buffer.getvalue())
        now = {
            "steps": self._agent.num_timesteps,
            "seconds": self.seconds,
            "figures": self.summary,
            "scale": get_scale(self._agent.get_env()),
            "made with": f"genie_gym {code_version()}",
        }
        save_agent(self._agent, self._folder / AGENT, self._about | now)


def _load(path: Path) -> Places:
    return Places(np.load(path)) if path.exists() else Places()
