"""Settings of exploration and of measuring state coverage."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.rewards.config import REWARDS as INTRINSIC_REWARDS
from genie_gym.rewards.config import ExplorationOptions
from genie_gym.utils import paths
from genie_gym.utils.options import CheckpointOptions, ComputeOptions, EnvOptions
from genie_gym.utils.validation import MOST_GAMES, at_least, at_most, check_seed, check_unit_interval

__all__ = ["IMAGINED_REWARDS", "REWARDS", "CoverageConfig", "ExploreConfig", "FrontierOptions"]

REWARDS = (*INTRINSIC_REWARDS, "game")
IMAGINED_REWARDS = ("autoexplore", "game")  # those that a world model can compute in imagination
CHANGEABLE = {"steps", "record", "out", "compile", "device", "threads", "ray"}  # between two calls for the same agent


@dataclass(frozen=True, kw_only=True)
class FrontierOptions(ExplorationOptions):
    """Options of AutoExplore's reward and of where its episodes begin; the paper's are the default.

    Attributes:
        frontier: Share of the episodes, 0 to 1, that begin at a savestate of an earlier one: where the model's
            uncertainty, divided by the square root of the visits, is highest (after Go-Explore). The others begin as
            the game does.
    """

    frontier: float = 0.0

    def check_frontier(self, reward: str, imagined: bool = False) -> None:
        """Raise ConfigError if an option is out of range, or is no option of that reward."""
        self.check_exploration()
        check_unit_interval(frontier=self.frontier)
        if self.is_the_papers and not self.frontier:
            return
        if reward != "autoexplore":
            raise ConfigError(
                f"uncertainty, habituation and frontier belong to autoexplore; leave them out with {reward}"
            )
        if imagined:
            raise ConfigError(
                "in imagination the reward is the paper's; leave out imagined, or uncertainty, habituation and frontier"
            )


@dataclass(frozen=True)
class ExploreConfig(ComputeOptions, CheckpointOptions, EnvOptions, FrontierOptions):
    """Settings of training an explorer, or another agent, in the real game or in imagination.

    Attributes:
        game: Name, such as Airstriker-Genesis, whose model ships with genie_gym; with env, the title of your own.
        steps: Environment steps to train for in total, over all environments and earlier calls.
        reward: Reward to train on: autoexplore (uncertainty of the world model); game (the game's own, for agents whose
            episodes test a world model); or a baseline to compare with: random_features, vae_features, rnd, none.
        score_interval: Compute the intrinsic reward of one step in this many; the other steps have reward 0. The paper
            scores every step, which halves the steps per second on two CPU cores. In imagination every step is scored.
        num_envs: Number of environments: copies of the game in processes of their own, or imagined rollouts.
        seed: Random seed.
        max_steps: Maximum length of an episode, in steps.
        imagined: Train in imagination and never start the game; reward must be autoexplore or game.
        init_from: An agent whose weights a new agent starts from: a name such as autoexplore-imagined-0, or a path.
        record: Folder of a dataset to which the episodes of the training are added; not with imagined.
        out: Folder of the agent, its TensorBoard events and its GIF; below the data folder by default.
        compile: Compile the scoring or the imagined rollouts with torch: one or two minutes at the start, then about
            twice as fast.
        ray: Address of a Ray cluster (auto for the one this machine is part of) on whose nodes the games run; the agent
            learns here. It learns the same, unless a node dies: that costs the episodes of its games. Not with
            imagined.
    """

    game: str
    steps: int = 100_000
    reward: str = "autoexplore"
    score_interval: int = 4
    num_envs: int = 8
    seed: int = 0
    max_steps: int = 1000
    imagined: bool = False
    init_from: str | None = None
    record: Path | None = None
    out: Path | None = None
    compile: bool = False
    ray: str | None = None

    def __post_init__(self) -> None:
        known = IMAGINED_REWARDS if self.imagined else REWARDS
        if self.reward not in known:
            where = " in imagination" * self.imagined
            raise ConfigError(f"unknown reward {self.reward!r}{where}; choose one of: {', '.join(known)}")
        at_least(1, steps=self.steps, score_interval=self.score_interval, threads=self.threads)
        at_least(1, num_envs=self.num_envs, max_steps=self.max_steps)
        if not self.imagined:
            at_most(MOST_GAMES, num_envs=self.num_envs)
        check_seed(self.seed)
        self.check_frontier(self.reward, self.imagined)
        if self.imagined and self.env:
            raise ConfigError(f"in imagination the environment {self.env} is not started; leave out env or imagined")
        if self.imagined and self.ray:
            raise ConfigError(f"in imagination no game runs on {self.ray}; leave out ray or imagined")
        if self.imagined and self.record:
            raise ConfigError(
                f"imagined episodes are not recorded, so {self.record} would stay empty; leave out record or imagined"
            )

    def identity(self) -> dict[str, Any]:
        """Return the settings that a resumed training must share; the others may change from call to call."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in CHANGEABLE}
        located = {name: paths.absolute(values[name]) for name in ("checkpoint", "init_from")}
        return values | located

    @property
    def agent_name(self) -> str:
        """Name of the agent's folder by default: "autoexplore-0", "autoexplore-imagined-0", "rnd-pretrained-1"."""
        kind = f"{self.reward}{'-imagined' * self.imagined}{'-pretrained' * bool(self.init_from)}"
        return f"{kind}-{self.seed}"


@dataclass(frozen=True)
class CoverageConfig:
    """Settings of comparing the state coverage of recorded episodes.

    Attributes:
        datasets: Names of games, or folders of datasets, all of one game.
        frames: Number of frames to count of each run; by default as many as the shortest run has.
    """

    datasets: tuple[str, ...]
    frames: int | None = None

    def __post_init__(self) -> None:
        if not self.datasets:
            raise ConfigError("name a game or the folder of a dataset")
        at_least(1, frames=self.frames)
