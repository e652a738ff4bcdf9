"""The intrinsic rewards of N environments as they step: what every wrapper shares.

Shapes: N environments, s side of a frame in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch

from genie_gym.errors import InvalidActionError
from genie_gym.rewards.context import FrameMemory
from genie_gym.rewards.options import RewardOptions
from genie_gym.rewards.scale import ReturnScale, RewardLevel
from genie_gym.rewards.score import IntrinsicReward, Score

__all__ = ["RewardStream", "Rewards"]

LEARNING_BATCH = 128  # windows that a baseline waits for before it takes a gradient step


@dataclass
class Rewards:
    """Of one step.

    Attributes:
        total: float64 (N,), for the agent: centred, normalised, weighted and mixed as the options say.
        intrinsic: float32 (N,), as scored; 0 while an episode is younger than a window, where nothing was stepped, and
            where `every` leaves a step out.
    """

    total: np.ndarray
    intrinsic: np.ndarray


class RewardStream:
    """Scores the steps of N environments, all of them in one forward pass.

    The first steps of an episode are paid 0: with the default context of 2 and horizon of 3, the step that leads to
    the episode's fifth frame is the first with a reward. Each step is three calls:

        stream.act(actions)               # may run before or while the environments step
        rewards = stream.see(frames, game_rewards)
        stream.begin(first_frames, rows)  # where a new episode began

    Call `restart` at a reset with a seed, so that the same steps are scored each time.

    Args:
        reward: what to score with.
        count: N.
        size: s.
        actions: how many there are.
        options: mode, coefficient, centring and normalisation.

    Attributes:
        score: the Score of the last step's scored rows, and `scored` which rows these are (bool (N,)): for plots.
        training: whether level and scale move and baselines learn; set it to False where an agent is only evaluated.
    """

    def __init__(self, reward: IntrinsicReward, count: int, size: int, actions: int, options: RewardOptions):
        self.reward, self.options, self.actions = reward, options, actions
        self.memory = FrameMemory(count, reward.window, (size, size, 3))
        self.level, self.scale = RewardLevel(), ReturnScale(count, options.gamma)
        self.training = True
        self.score, self.scored = Score(torch.zeros(0, device="cpu")), np.zeros(count, bool)
        self._live = np.ones(count, bool)
        self._steps = 0
        self._lessons: list[tuple[np.ndarray, np.ndarray]] = []

    def begin(self, frames: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Forgets the past of some rows (bool (N,); None for all), whose episodes begin at uint8 (rows, s, s, 3)."""
        self.memory.begin(frames, rows)

    def restart(self) -> None:
        """Counts steps from 0 again, of which one in `every` is scored: not at the end of each episode, or those that
        are shorter would never be."""
        self._steps = 0

    def check(self, actions: np.ndarray) -> None:
        """Raises InvalidActionError unless actions are N whole numbers from 0 to `actions` - 1."""
        given, count = np.asarray(actions), len(self._live)
        if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
            raise InvalidActionError(f"expected {count} integer action(s); got {actions!r}")
        if given.min() < 0 or given.max() >= self.actions:
            raise InvalidActionError(f"an action must lie in 0 .. {self.actions - 1}; got {actions!r}")

    def act(self, actions: np.ndarray, live: np.ndarray | None = None) -> None:
        """Takes the actions (N,) of a step; `live`, bool (N,), leaves out rows that only begin an episode."""
        self.memory.act(np.asarray(actions))
        self._steps += 1
        self._live = np.ones(len(self._live), bool) if live is None else live
        if self._known_at_once:
            self._score()

    def see(self, frames: np.ndarray, game_rewards: np.ndarray) -> Rewards:
        """The rewards of the step: frames uint8 (N, s, s, 3), of an ended episode its last; game rewards (N,)."""
        self.memory.see(frames)
        if not self._known_at_once:
            self._score()
        intrinsic = np.zeros(len(self._live), np.float32)
        intrinsic[self.scored] = self.score.reward.numpy()
        self._learn()
        return Rewards(self._mixed(intrinsic, game_rewards), intrinsic)

    @property
    def _known_at_once(self) -> bool:
        """Whether a step's reward needs no look at the frame it leads to."""
        return self.reward.context < self.reward.window

    def _score(self) -> None:
        # All environments at the same step: one pass over eight windows takes less time than four passes over two.
        turn = self._steps % self.options.every == 0
        self.scored = self.memory.ready & self._live & turn
        rows = np.flatnonzero(self.scored)
        if not len(rows):
            self.score = Score(torch.zeros(0, device="cpu"))
            return
        frames = torch.from_numpy(self.memory.frames(rows, self.reward.context))
        self.score = self.reward.score(frames, torch.from_numpy(self.memory.actions(rows)))

    def _mixed(self, intrinsic: np.ndarray, game_rewards: np.ndarray) -> np.ndarray:
        paid = intrinsic.astype(np.float64)
        if self.options.center:
            if self.training:
                self.level.update(paid, self.scored)
            paid = self.level(paid, self.scored)
        if self.options.normalize:
            if self.training:
                self.scale.update(paid, self._live)
            paid = self.scale(paid)
        paid = self.options.coefficient * paid
        return paid if self.options.mode == "replace" else paid + game_rewards

    def _learn(self) -> None:
        """Lets a baseline learn from the windows just scored, once there are enough of them for a batch."""
        if not (self.reward.learns and self.training):
            return
        rows = np.flatnonzero(self.scored)
        self._lessons.append((self.memory.frames(rows), self.memory.actions(rows)))
        if sum(len(actions) for _, actions in self._lessons) >= LEARNING_BATCH:
            frames, actions = (np.concatenate(part) for part in zip(*self._lessons, strict=True))
            self.reward.update(torch.from_numpy(frames), torch.from_numpy(actions))
            self._lessons = []
