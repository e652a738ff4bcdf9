"""The configuration of a collection of episodes."""

from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError
from genie_gym.utils.options import EnvOptions
from genie_gym.utils.validation import at_least, at_most, check_seed

__all__ = ["DEFAULT_STEPS", "CollectConfig"]

DEFAULT_STEPS = 20_000  # enough to train the preset "tiny" on
MAX_STEPS = 300_000  # the frames of one episode are held in memory: 3.7 GB, and as much with 16 times the pixels


@dataclass(frozen=True)
class CollectConfig(EnvOptions):
    """Which episodes of a game are collected, and how.

    Attributes:
        game: Name of the game, such as Airstriker-Genesis or Airstriker; with env, any title for your own.
        steps: Collect this many steps in all; 20,000 if neither steps nor episodes is given. These are the first
            episodes, in order, that have so many together: as the last is whole, there may be a few more.
        episodes: Collect this many episodes in all, in place of a number of steps.
        workers: Number of worker processes, each with its own emulator; one per CPU core by default. The episodes do
            not depend on it.
        seed: Random seed; episode i depends on the seed, i and the policy only.
        policy: Policy that chooses the actions: random; sticky, which holds each action for a while; or an agent
            trained with explore, by its name (autoexplore-0) or path.
        epsilon: Share of the policy's actions, from 0 to 1, that are replaced by random ones.
        max_steps: Maximum length of an episode, in steps.
        savestates: Names of a console game's savestates, such as Level1-1, at one of which each episode begins; those
            of the folder's episodes by default, or all that come with stable-retro. What is trained on them remembers.
        high_res: Also store each frame at 256x256 pixels, which train-upscaler needs. Takes about ten times the space;
            episodes stored without high-resolution frames are collected again.
        out: Folder of the dataset; the game's own folder below the data folder by default.
        ray: Address of a Ray cluster (auto for the one this machine is part of) whose nodes play, each with genie_gym
            and the ROMs. The episodes are the same, and are moved here at the end; those of a node that dies are
            played again. Each CPU of the cluster is a worker by default.

    Raises:
        ConfigError: An option is out of range, or both steps and episodes are given.
    """

    game: str
    steps: int | None = None
    episodes: int | None = None
    workers: int | None = None
    seed: int = 0
    policy: str = "random"
    epsilon: float = 0.0
    max_steps: int = 1000
    savestates: tuple[str, ...] = ()
    high_res: bool = False
    out: Path | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        at_least(1, steps=self.steps, episodes=self.episodes, workers=self.workers, max_steps=self.max_steps)
        at_most(MAX_STEPS // (16 if self.high_res else 1), max_steps=self.max_steps)
        check_seed(self.seed)
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(f"epsilon must be from 0 to 1, got {self.epsilon}")
        if self.steps is not None and self.episodes is not None:
            raise ConfigError(f"give either steps or episodes, got steps={self.steps} and episodes={self.episodes}")

    @property
    def target_steps(self) -> int | None:
        """Number of steps to collect; None if a number of episodes is asked for."""
        return self.steps if self.steps or self.episodes else DEFAULT_STEPS
