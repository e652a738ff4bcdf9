"""What one round of a refit does: where its play comes from, how much of it, and how the model is tuned on it."""

from dataclasses import dataclass, field

from genie_gym.checks import at_least, check_seed
from genie_gym.errors import ConfigError
from genie_gym.pipeline.explore import DREAMED, REWARDS
from genie_gym.pipeline.policies import POLICIES
from genie_gym.pipeline.tune import TuneConfig

__all__ = ["SOURCES", "RefitConfig"]

SOURCES = (*REWARDS, *POLICIES)  # where new play comes from: an agent trained on a reward, or a policy


@dataclass(frozen=True)
class RefitConfig:
    """One round, the same for all of them.

    Attributes:
        data_from: "autoexplore", or another reward of `explore`, on which an agent is trained anew in each round to
            collect with; or "random" or "sticky", to compare with play that costs no training. For as many real frames
            set `frames` to the sum of both then, as an explorer's training takes real frames too.
        explore_steps: of the real game, to train that agent.
        dream_steps: in dreams of the model, that the agent learns from before it goes into the game; "autoexplore" and
            "game" are paid there. They cost no real frames.
        frames: to collect.
        random_share: of the agent's actions replaced by random ones, for variety; the paper's published code has 0.15.
        every: one step in so many is scored while that agent is trained, see `explore`.
        envs, max_steps: copies of the game and longest episode, in training; the latter in collecting too.
        tune: how the model is tuned; its seed is overruled.
        clips: pieces of play that the models are scored on, of each recording.
        seed: of everything random.

    Raises:
        ConfigError: a value out of range.
    """

    data_from: str = "autoexplore"
    explore_steps: int = 100_000
    dream_steps: int = 0
    frames: int = 20_000
    random_share: float = 0.15
    every: int = 4
    envs: int = 8
    max_steps: int = 1000
    tune: TuneConfig = field(default_factory=TuneConfig)
    clips: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if self.data_from not in SOURCES:
            raise ConfigError(f"unknown source of data {self.data_from!r}; choose one of: {', '.join(SOURCES)}")
        at_least(1, explore_steps=self.explore_steps, frames=self.frames, every=self.every)
        at_least(1, envs=self.envs, max_steps=self.max_steps, clips=self.clips)
        at_least(0, dream_steps=self.dream_steps)
        check_seed(self.seed)
        if self.dream_steps and self.data_from not in DREAMED:
            known = ", ".join(DREAMED)
            raise ConfigError(f"in dreams an agent can learn on {known}, not {self.data_from}; leave out dream_steps")
        if not 0 <= self.random_share <= 1:
            raise ConfigError(f"random_share must lie in [0, 1]; got {self.random_share}")

    @property
    def trains(self) -> bool:
        """Whether an agent is trained to collect with."""
        return self.data_from not in POLICIES
