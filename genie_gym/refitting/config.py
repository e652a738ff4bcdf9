"""Settings of a refit."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from genie_gym.collection.policies import POLICIES
from genie_gym.errors import ConfigError
from genie_gym.exploration.config import IMAGINED_REWARDS, REWARDS, FrontierOptions
from genie_gym.utils import paths
from genie_gym.utils.options import CheckpointOptions, ComputeOptions, EnvOptions, FinetuneOptions
from genie_gym.utils.validation import MOST_GAMES, at_least, at_most, check_seed

__all__ = ["POLICY_SOURCES", "RefitConfig"]

POLICY_SOURCES = (*REWARDS, *POLICIES)  # an agent trained on a reward, or a policy that needs no training
CHANGEABLE = {"rounds", "test", "out", "run", "workers", "device", "threads"}  # between two calls for the same run


@dataclass(frozen=True)
class RefitConfig(ComputeOptions, CheckpointOptions, EnvOptions, FinetuneOptions, FrontierOptions):
    """Settings of a refit: rounds of exploration, collection, finetuning and evaluation, all with the same settings.

    The device is that of explorer, reward and evaluation; finetuning uses a GPU wherever there is one.

    Attributes:
        game: Name, such as Airstriker-Genesis, whose emulator must be installed; with env, the title of your own.
        rounds: Number of rounds in total, earlier calls included.
        policy_source: Source of the policy that collects: autoexplore (uncertainty of the world model) or another
            reward of explore, on which an agent is trained anew in each round; or random or sticky, to compare with
            policies that need no training. To compare on as many real frames, set their frames to the sum of
            explore_steps and frames.
        explore_steps: Steps in the real game that train the agent in each round.
        imagined_steps: Steps of pretraining in imagination before them, on the paper's reward; they take no real
            frames.
        frames: Frames to collect in each round.
        epsilon: Share of the agent's actions, 0 to 1, that are replaced by random ones while collecting; 0.15 in the
            paper's published code.
        score_interval: Compute the intrinsic reward of one step in this many while the agent is trained.
        num_envs: Number of environments while the agent is trained.
        max_steps: Maximum length of an episode, in steps.
        clips: Number of clips to evaluate the models on, of each dataset.
        seed: Random seed.
        data: Folder of the dataset the model was trained on; the game's own below the data folder by default.
        test: Folder of a dataset to evaluate on and never to train on.
        out: Folder for the refitted checkpoint, in addition to the run's.
        run: Folder of everything the rounds write; below the data folder by default.
        workers: Number of processes that collect; one for each core by default.
    """

    game: str
    rounds: int = 1
    policy_source: str = "autoexplore"
    explore_steps: int = 100_000
    imagined_steps: int = 0
    frames: int = 20_000
    epsilon: float = 0.15
    score_interval: int = 4
    num_envs: int = 8
    max_steps: int = 1000
    clips: int = 128
    seed: int = 0
    data: Path | None = None
    test: Path | None = None
    out: Path | None = None
    run: Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy_source not in POLICY_SOURCES:
            known = ", ".join(POLICY_SOURCES)
            raise ConfigError(f"unknown policy source {self.policy_source!r}; choose one of: {known}")
        at_least(1, rounds=self.rounds, explore_steps=self.explore_steps, frames=self.frames, clips=self.clips)
        at_least(1, score_interval=self.score_interval, num_envs=self.num_envs, max_steps=self.max_steps)
        at_most(MOST_GAMES, num_envs=self.num_envs)
        at_least(1, workers=self.workers, threads=self.threads)
        at_least(0, imagined_steps=self.imagined_steps)
        check_seed(self.seed)
        self.check_frontier(self.policy_source)
        if self.imagined_steps and self.policy_source not in IMAGINED_REWARDS:
            known = ", ".join(IMAGINED_REWARDS)
            raise ConfigError(
                f"in imagination an agent can be trained on {known}, not {self.policy_source}; leave out imagined_steps"
            )
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(f"epsilon must lie in [0, 1]; got {self.epsilon}")

    @property
    def trains_agent(self) -> bool:
        """Whether an agent is trained to collect with."""
        return self.policy_source not in POLICIES

    def identity(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share; the others may change from call to call."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in CHANGEABLE}
        return values | {name: paths.absolute(values[name]) for name in ("checkpoint", "data")}
