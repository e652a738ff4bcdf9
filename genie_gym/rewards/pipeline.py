"""The rewards of several environments as they step, shared by all wrappers.

Shapes: N environments, s side of a frame in pixels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.rewards.adapter import EnvAdapter
from genie_gym.rewards.base import IntrinsicReward, Score
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.habituation import Habituation
from genie_gym.rewards.processor import RewardProcessor
from genie_gym.rewards.window import FrameWindow
from genie_gym.utils.device import with_gradients
from genie_gym.utils.validation import short

__all__ = ["RewardPipeline", "Rewards"]

UPDATE_BATCH = 128  # number of windows in a training step of a baseline


@dataclass
class Rewards:
    """Rewards of one step.

    Attributes:
        total: Float64 (N,), the agent's rewards: centred, normalised, weighted and mixed as configured.
        intrinsic: Float32 (N,), the scores. They are 0 while an episode is shorter than a window, where an environment
            was only reset, and where `score_interval` leaves out a step. With habituation they are divided by the roots
            of the visits.
    """

    total: np.ndarray
    intrinsic: np.ndarray


class RewardPipeline:
    """Score the steps of N environments in one forward pass, and turn the scores into the agent's rewards.

    The first steps of an episode are rewarded 0. With the default context of 2 and horizon of 3, the first reward is
    that of the step to the episode's fifth frame. Each step takes three calls:

        pipeline.on_action(actions)               # may run before or while the environments step
        rewards = pipeline.observe(frames, game_rewards)
        pipeline.reset(first_frames, rows)        # where a new episode began

    Call `reset_step_count` when all environments are reset with a seed, so that the same steps are scored every time.

    Args:
        reward: The intrinsic reward.
        num_envs: Number of environments N.
        adapter: How the reward sees the environments' frames and actions.
        config: Options of the reward.
        habituation: Weights of the scores by how often like frames were visited; none by default.

    Attributes:
        score: Score of the rows that were scored in the last step, for plots, without habituation.
        scored: Rows that were scored in the last step, bool (N,).
        training: Whether running statistics are updated and baselines learn. Set it to False to evaluate an agent.
        processor: The RewardProcessor, which holds the running statistics.
    """

    def __init__(
        self,
        reward: IntrinsicReward,
        num_envs: int,
        adapter: EnvAdapter,
        config: RewardConfig,
        habituation: Habituation | None = None,
    ):
        self.reward, self.config, self.adapter, size = reward, config, adapter, adapter.size
        self.window = FrameWindow(num_envs, reward.window, (size, size, 3))
        self.processor, self.habituation = RewardProcessor(num_envs, config), habituation
        self.training = True
        self.score, self.scored = Score(torch.zeros(0, device="cpu")), np.zeros(num_envs, bool)
        self._stepped = np.ones(num_envs, bool)
        self._step_count = 0
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []  # windows that a baseline has not learned from yet

    def check_frames(self, frames: Any) -> None:
        """Raise ConfigError unless frames are a NumPy array, as those of environments that give tensors are not."""
        if not isinstance(frames, np.ndarray):
            raise ConfigError(
                f"the reward takes NumPy arrays; the environments give {type(frames).__name__}. Wrap them before they "
                "are converted, and make imagined ones without tensors=True"
            )

    def reset(self, frames: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Forget the past of some rows, in which new episodes begin.

        Args:
            frames: First frames, uint8 (rows, s, s, 3), or of any size where they are resized.
            rows: Bool (N,); None for all.
        """
        self.window.reset(self.adapter.frames(frames), rows)
        if self.habituation:
            self.habituation.reset(rows)

    def reset_step_count(self) -> None:
        """Count steps from 0 again, of which one in `score_interval` is scored.

        Neither the ends of episodes nor resets without a seed restart the count: they continue what goes on, like the
        random streams, and steps of episodes shorter than `score_interval` would never be scored.
        """
        self._step_count = 0

    def check_actions(self, actions: np.ndarray) -> None:
        """Raise InvalidActionError unless actions are N whole numbers that the environments have."""
        count = len(self._stepped)
        try:
            given = np.asarray(actions)
        except (TypeError, ValueError):  # a tensor on a GPU, or lists of different lengths
            given = np.empty(0)
        if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
            raise InvalidActionError(f"expected {count} integer action(s) as an array; got {short(actions)}")
        if given.min() < 0 or given.max() >= self.adapter.num_actions:
            raise InvalidActionError(f"an action must lie in 0 .. {self.adapter.num_actions - 1}; got {short(actions)}")

    def on_action(self, actions: np.ndarray, stepped: np.ndarray | None = None) -> None:
        """Begin a step.

        Args:
            actions: Int (N,).
            stepped: Bool (N,). Rows that are only reset in this step are False; all are stepped by default.
        """
        self.window.on_action(self.adapter.actions(np.asarray(actions)))
        self._step_count += 1
        self._stepped = np.ones(len(self._stepped), bool) if stepped is None else stepped
        if not self._needs_next_frame:
            self._score()

    def observe(self, frames: np.ndarray, game_rewards: np.ndarray) -> Rewards:
        """End a step and return its rewards.

        Args:
            frames: Uint8 (N, s, s, 3), or of any size where they are resized. Where an episode ended, its last frame.
            game_rewards: Float (N,), the game's own rewards.
        """
        seen = self.adapter.frames(frames)
        self.window.observe(seen)
        if self._needs_next_frame:
            self._score()
        intrinsic = np.zeros(len(self._stepped), np.float32)
        intrinsic[self.scored] = self.score.reward.numpy()
        if self.habituation and self.scored.any():
            rows = np.flatnonzero(self.scored)
            intrinsic[rows] *= self.habituation(torch.from_numpy(seen[rows]), rows, update=self.training)
        if self.reward.learns and self.training:
            self._learn()
        total = self.processor(intrinsic, self.scored, game_rewards, stepped=self._stepped, update=self.training)
        return Rewards(total, intrinsic)

    @property
    def _needs_next_frame(self) -> bool:
        """Whether the reward of a step depends on the frame that the step leads to."""
        return self.reward.context >= self.reward.window

    def _score(self) -> None:
        # All environments at the same step: one pass over eight windows takes less time than four passes over two.
        due = self._step_count % self.config.score_interval == 0
        self.scored = self.window.ready & self._stepped & due
        rows = np.flatnonzero(self.scored)
        if not len(rows):
            self.score = Score(torch.zeros(0, device="cpu"))
            return
        frames = torch.from_numpy(self.window.frames(rows, self.reward.context))
        self.score = self.reward.score(frames, torch.from_numpy(self.window.actions(rows)))

    @with_gradients()
    def _learn(self) -> None:
        """Train a baseline on the windows that were scored, once there are enough of them for a batch."""
        rows = np.flatnonzero(self.scored)
        self._pending.append((self.window.frames(rows), self.window.actions(rows)))
        if sum(len(actions) for _, actions in self._pending) >= UPDATE_BATCH:
            frames, actions = (np.concatenate(part) for part in zip(*self._pending, strict=True))
            self.reward.update(torch.from_numpy(frames), torch.from_numpy(actions))
            self._pending = []
