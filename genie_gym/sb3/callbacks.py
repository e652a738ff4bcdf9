"""Training an agent in parts: it is saved at intervals, can be stopped, and is observed at each step."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from einops import rearrange
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from genie_gym.errors import ConfigError

__all__ = ["ResumableTraining", "TrainingObserver", "train"]

# What torch says of probabilities that are NaN, where they are made and where they are drawn from.
NO_PROBABILITIES = ("found invalid values", "probability tensor contains")


class TrainingObserver(Protocol):
    """The interface of an object that follows a training and saves the agent."""

    def on_step(self, steps: int, frames: np.ndarray, rewards: np.ndarray, infos: Sequence[dict[str, Any]]) -> bool:
        """Handle one step of all N environments.

        Args:
            steps: Total number of steps so far.
            frames: Uint8 (N, h, w, 3). Where an episode ended, the first frame of the next one.
            rewards: Float32 (N or fewer,), the rewards before normalisation. With an intrinsic reward, those of the
                environments that were scored in this step.
            infos: What the N environments tell of the step.

        Returns:
            False to stop the training.
        """

    def metrics(self) -> dict[str, float]:
        """Return values for TensorBoard, by name. Called once per update."""

    def save(self) -> None:
        """Save the agent in its current state."""


class ResumableTraining(BaseCallback):
    """Connect a training with an observer, which saves the agent between updates and can stop the training.

    Where the observer stops a training during a rollout, the agent has not learned from the steps of that rollout. They
    are subtracted from its step counter, so that a resumed training takes them again.

    Args:
        observer: The observer.
        save_interval: Minimum time between two saves in seconds. The agent is saved once more at the end.

    Attributes:
        stopped: Whether the observer stopped the training.
    """

    def __init__(self, observer: TrainingObserver, save_interval: float = 120.0):
        super().__init__()
        self.stopped = False
        self._observer, self._save_interval = observer, save_interval
        self._learned_steps, self._last_save = 0, time.monotonic()

    def _on_rollout_start(self) -> None:
        """Save the agent if it is time. Between two updates its state is consistent."""
        self._learned_steps = self.num_timesteps
        if time.monotonic() - self._last_save >= self._save_interval:
            self._observer.save()
            self._last_save = time.monotonic()

    def _on_step(self) -> bool:
        frames = rearrange(self.locals["new_obs"], "n c h w -> n h w c")  # agents receive channels first
        self.stopped = not self._observer.on_step(self.num_timesteps, frames, self._rewards(), self.locals["infos"])
        return not self.stopped

    def _on_rollout_end(self) -> None:
        for name, value in self._observer.metrics().items():
            self.logger.record(name, value)

    def _on_training_end(self) -> None:
        if self.stopped:
            self.model.num_timesteps = self._learned_steps
        self._observer.save()

    def _rewards(self) -> np.ndarray:
        """Return the rewards of the step before normalisation: the scores, or the game's rewards."""
        infos, normalizer = self.locals["infos"], self.model.get_vec_normalize_env()
        if "intrinsic_reward" in infos[0]:
            scores = [info["intrinsic_reward"] for info in infos if info["scored"]]
            return np.array(scores, np.float32)
        return self.locals["rewards"] if normalizer is None else normalizer.get_original_reward()


def train(
    agent: BaseAlgorithm,
    steps: int,
    observer: TrainingObserver,
    tensorboard_dir: Path,
    *,
    save_interval: float = 120.0,
) -> bool:
    """Train an agent up to a total number of steps, including those of earlier calls.

    Args:
        agent: A new agent, or one that was loaded together with its step counter.
        steps: Total number of steps.
        observer: Receives every step and saves the agent.
        tensorboard_dir: Folder of TensorBoard's event files.
        save_interval: Minimum time between two saves in seconds. The agent is saved once more at the end.

    Returns:
        True if the total was reached, False if the observer stopped the training.

    Raises:
        ConfigError: The training diverged.
    """
    if agent.num_timesteps >= steps:
        return True
    callback = ResumableTraining(observer, save_interval)
    agent.set_logger(configure(str(tensorboard_dir), ["tensorboard"]))
    try:
        agent.learn(steps - agent.num_timesteps, callback, log_interval=1, reset_num_timesteps=False)
    except (ValueError, RuntimeError) as error:
        if not any(words in str(error) for words in NO_PROBABILITIES):
            raise
        raise ConfigError(
            f"the agent's weights are no longer finite after {agent.num_timesteps:,} steps; what was saved last is "
            "kept: start again in another folder with a lower learning_rate, or look at the rewards"
        ) from error
    finally:
        agent.logger.close()
    return not callback.stopped
