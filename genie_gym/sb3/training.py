"""Training an agent in pieces: saved now and then, stopped on request, watched step by step."""

import time
from pathlib import Path
from typing import Protocol

import numpy as np
from einops import rearrange
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

__all__ = ["Watcher", "train"]


class Watcher(Protocol):
    """Who follows a training."""

    def see(self, steps: int, frames: np.ndarray, rewards: np.ndarray) -> bool:
        """After one step of all n environments; False stops the training.

        Args:
            steps: taken in all.
            frames: uint8 (n, h, w, 3), those of a new episode where one ended.
            rewards: float32 (n or fewer,), what the agent was paid before any scaling; of an intrinsic reward, what
                was scored.
        """

    def figures(self) -> dict[str, float]:
        """What TensorBoard should show, asked once for each update."""

    def save(self) -> None:
        """Keep the agent as it is now."""


def train(agent: BaseAlgorithm, steps: int, watcher: Watcher, tensorboard: Path, save_every: float = 120.0) -> bool:
    """Trains until the agent has learned from so many steps in all, earlier calls included.

    Steps of a rollout that was stopped before its end taught it nothing, and are not counted.

    Args:
        agent: new, or loaded with its step counter.
        watcher: told of every step; it saves.
        tensorboard: folder for the curves.
        save_every: seconds between two saves; one more follows at the end.

    Returns:
        True where the target was reached, False where the watcher stopped it.
    """
    finished = agent.num_timesteps >= steps
    if not finished:
        books = _Books(watcher, save_every)
        agent.set_logger(configure(str(tensorboard), ["tensorboard"]))
        left = steps - agent.num_timesteps
        agent.learn(left, books, log_interval=1, reset_num_timesteps=False)
        finished = not books.stopped
        if books.stopped:
            agent.num_timesteps = books.learned
        watcher.save()
        agent.logger.close()
    return finished


class _Books(BaseCallback):
    """Passes on what Stable-Baselines3 tells.

    Attributes:
        learned: steps up to the last update.
        stopped: whether the watcher has stopped the training.
    """

    def __init__(self, watcher: Watcher, save_every: float):
        super().__init__()
        self.learned, self.stopped = 0, False
        self._watcher, self._save_every, self._saved = watcher, save_every, time.monotonic()

    def _on_step(self) -> bool:
        frames = rearrange(self.locals["new_obs"], "n c h w -> n h w c")  # agents see colours first
        self.stopped = not self._watcher.see(self.num_timesteps, frames, self._rewards())
        return not self.stopped

    def _rewards(self) -> np.ndarray:
        infos, normalizer = self.locals["infos"], self.model.get_vec_normalize_env()
        if "intrinsic_reward" in infos[0]:
            scored = [info["intrinsic_reward"] for info in infos if info["intrinsic_reward"]]
            return np.array(scored, np.float32)
        return self.locals["rewards"] if normalizer is None else normalizer.get_original_reward()

    def _on_rollout_end(self) -> None:
        for name, value in self._watcher.figures().items():
            self.logger.record(name, value)

    def _on_rollout_start(self) -> None:
        """Between two updates the agent is whole."""
        self.learned = self.num_timesteps
        if time.monotonic() - self._saved >= self._save_every:
            self._watcher.save()
            self._saved = time.monotonic()
