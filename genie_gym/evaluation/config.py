"""Settings of an evaluation and of the demo."""

from dataclasses import dataclass
from pathlib import Path

from genie_gym.utils.options import CheckpointArgument, ComputeOptions, EnvOptions, SamplingOptions
from genie_gym.utils.validation import at_least, check_seed, check_types

__all__ = ["COMPARED_STEP", "DemoConfig", "EvalConfig"]

COMPARED_STEP = 4  # t at which Genie and the paper measure controllability
SHORTEST_ROLLOUT = 4  # steps of a long rollout, so that early and late frames can be compared
SHORTEST_DEMO = 16  # steps


@dataclass(frozen=True)
class EvalConfig(ComputeOptions, SamplingOptions, CheckpointArgument):
    """Settings of an evaluation on held-out episodes.

    Attributes:
        data: Folder of the dataset; the game's own folder below the data folder by default.
        clips: Number of clips to predict, drawn at random from the held-out episodes.
        context: Real frames before the first predicted frame.
        horizon: Frames predicted after the context, at least 4.
        long_steps: Length of the long rollouts; 0 leaves out long rollouts and the comparison of rewards.
        num_rollouts: Number of long rollouts.
        seed: Random seed.
        perceptual: Also compute LPIPS and FID; tells which weights they need and how to fetch them.
        real_actions: For a latent action model: predict under the recorded actions through the action map, in place
            of the latent actions inferred from the very frames to be predicted.
        out: Folder for figures.json and images of predictions; nothing is written by default.
        ray: Address of a Ray cluster (auto for the one this machine is part of) on whose nodes the clips are predicted,
            each batch on one CPU; device then counts for nothing. The figures are the same, but for the speed.
    """

    data: Path | None = None
    clips: int = 128
    context: int = 2
    horizon: int = 10
    long_steps: int = 1000
    num_rollouts: int = 16
    seed: int = 0
    perceptual: bool = False
    real_actions: bool = False
    out: Path | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        at_least(COMPARED_STEP, horizon=self.horizon)
        at_least(1, context=self.context, clips=self.clips, num_rollouts=self.num_rollouts, threads=self.threads)
        if self.long_steps:
            at_least(SHORTEST_ROLLOUT, long_steps=self.long_steps)
        check_seed(self.seed)


@dataclass(frozen=True)
class DemoConfig(EnvOptions):
    """Settings of the demo.

    Attributes:
        game: Name, such as Airstriker-Genesis, whose model ships with genie_gym. The real game runs beside it where its
            emulator and its ROM are here, or your own environment.
        steps: Length of the rollout shown, at least 16 steps.
        seed: Random seed of the episode and the rollout.
        checkpoint: Model to show, a checkpoint folder or an id on the hub; the game's own weights by default.
        out: Folder for the GIF and the PNG.
        threads: CPU threads; a single rollout hardly gains from more than one.
    """

    game: str = "Airstriker-Genesis"
    steps: int = 120
    seed: int = 0
    checkpoint: str | None = None
    out: Path = Path("demo")
    threads: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        at_least(SHORTEST_DEMO, steps=self.steps)
        at_least(1, threads=self.threads)
        check_seed(self.seed)
