"""Playing and storing the episodes of some games in one process, which has one emulator at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from genie_gym import data, games
from genie_gym.collection.config import CollectConfig
from genie_gym.collection.policies import Policy
from genie_gym.collection.rollout import episode_seed, play_episode
from genie_gym.errors import GenieGymError

__all__ = ["HIGH_RES_SIZE", "Job", "Player"]

HIGH_RES_SIZE = 256  # side of the high-resolution frames in pixels, as the paper's upscaler produces them


@dataclass(frozen=True)
class Job:
    """Everything that is needed to collect episodes of one game; sent to other processes by pickle.

    Attributes:
        config: The configuration of the collection.
        game: Specification of the game, from which each worker makes it.
        folder: Folder of the dataset.
        header: Header of the dataset.
        policy_name: Name of the policy in ids and the header.
        policy: The policy itself.
    """

    config: CollectConfig
    game: games.GameSpec
    folder: Path
    header: dict[str, Any]
    policy_name: str
    policy: Policy

    def episode_id(self, index: int) -> str:
        """Return the id of the episode with that index."""
        return f"{self.policy_name}-{self.config.seed}-{index:06d}"


class Player:
    """Plays episodes, each of which depends on the game, the policy, the seed and its own number only.

    The emulator is kept until an episode of another game is played.

    Args:
        jobs: The games; episodes are written into the folder of each.
    """

    def __init__(self, jobs: Sequence[Job]):
        self._jobs = list(jobs)
        self._job: Job | None = None  # that of the emulator that runs
        self._name = "a game"  # what is opened or played, for messages
        self._env: gym.Env
        self._writer: data.EpisodeWriter
        self._episode: data.Episode  # what was played last

    def play(self, job: int, index: int, on_steps: Callable[[int], None] = lambda steps: None) -> int:
        """Play an episode and keep it in memory.

        Args:
            job: Number of the game.
            index: Number of the episode.
            on_steps: Called from time to time with the number of steps since the last call.

        Returns:
            Its number of steps.

        Raises:
            GameError: The game does not start.
            DataError: The folder cannot be written or holds another game.
        """
        if self._job is not self._jobs[job]:
            self._open(self._jobs[job])
        assert self._job is not None
        config, name = self._job.config, self._job.policy_name
        seed, side = episode_seed(config.seed, index, name), HIGH_RES_SIZE if config.high_res else None
        self._episode = play_episode(self._env, self._job.policy, seed, config.max_steps, on_steps, side)
        about = {"id": self._job.episode_id(index), "policy": name, "run_seed": config.seed, "index": index}
        self._episode.info.update(about)
        return len(self._episode.actions)

    def store(self) -> int:
        """Write the episode that was played last, and return its number of steps; it then survives a kill."""
        self._writer.append(self._episode)
        return len(self._episode.actions)

    def close(self) -> None:
        """Pack the episodes that were stored, and end the emulator."""
        if self._job is not None:
            self._writer.close()
            self._env.close()
            self._job = None

    def failure(self, error: Exception) -> GenieGymError:
        """Return what to tell the user about an error of `play`, `store` or `close`."""
        if isinstance(error, GenieGymError):
            return error
        what = f"{type(error).__name__}: {error}"
        return GenieGymError(f"{self._name} failed while collecting: {what}")

    def _open(self, job: Job) -> None:
        self.close()
        self._name = job.game.name
        self._env = games.make(job.game, detailed=job.config.high_res)
        self._writer = data.EpisodeWriter(job.folder, job.header)
        self._job = job
