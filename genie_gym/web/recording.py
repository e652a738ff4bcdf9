"""Recording what a visitor plays, as an episode of a dataset that `finetune` takes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from genie_gym.games import GameSpec
from genie_gym.utils import paths

__all__ = ["LONGEST", "Recording"]

LONGEST = 5000  # steps: the frames of a recording are kept in memory, 60 MB of them


@dataclass
class Recording:
    """An episode that is being recorded: of the real game where it runs beside the dream, else of the dream.

    Attributes:
        game: The game that it is of.
        real: Whether the frames are the real game's.
        start: Step of the dream at which it begins.
        frames: uint8 (s, s, 3) each, one more than steps.
        actions: Action of each step.
        rewards: Reward of each step.
        terminated: Whether the game ended with the last step.
    """

    game: GameSpec
    real: bool
    start: int
    frames: list[np.ndarray]
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: bool = False

    def took(self, action: int, frame: np.ndarray, reward: float, ended: bool) -> None:
        """Add a step."""
        self.actions.append(action)
        self.frames.append(frame)
        self.rewards.append(reward)
        self.terminated = ended

    def rewind(self, step: int) -> bool:
        """Go back to a step of the dream; return False if that is before the recording began."""
        length = step - self.start
        if length < 0:
            return False
        if length < len(self.actions):
            del self.frames[length + 1 :], self.actions[length:], self.rewards[length:]
            self.terminated = False
        return True

    def save(self, folder: Path | None) -> Path:
        """Add the episode to a dataset below a folder; return the dataset's own folder.

        Args:
            folder: Folder of all recordings; `played` in the data folder by default.

        Raises:
            DataError: The episode has no steps, or the disk is full or the folder cannot be written.
            MissingExtraError: Packages that write datasets are not installed.
        """
        from genie_gym.data import Episode, EpisodeWriter

        place = (folder or paths.home() / "played") / self.game.name / ("real" if self.real else "dream")
        header = {
            "game": self.game.to_dict(),
            "actions": self.game.meanings,
            "frame_skip": self.game.frame_skip,
            "policy": "played in a browser",
        }
        episode = Episode(
            np.stack(self.frames),
            np.array(self.actions, np.int64),
            np.array(self.rewards, np.float32),
            terminated=self.terminated,
            truncated=not self.terminated,
        )
        with EpisodeWriter(place, header) as writer:
            writer.append(episode)
        return place
