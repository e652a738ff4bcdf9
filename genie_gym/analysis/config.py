"""Settings of the analysis of a world model."""

from dataclasses import dataclass
from pathlib import Path

from genie_gym.utils.options import CheckpointArgument, ComputeOptions
from genie_gym.utils.validation import at_least, check_seed, check_types

__all__ = ["InspectConfig"]


@dataclass(frozen=True)
class InspectConfig(ComputeOptions, CheckpointArgument):
    """Settings of the analysis of a world model.

    Attributes:
        data: Folder of a dataset; by default the game's own, or imagined rollouts of the model where there is none.
        clips: Number of clips to analyse, of 16 frames each.
        seed: Random seed.
        out: Folder for report.html and figures.json.
    """

    data: Path | None = None
    clips: int = 32
    seed: int = 0
    out: Path = Path("inspect")

    def __post_init__(self) -> None:
        check_types(self)
        at_least(1, clips=self.clips, threads=self.threads)
        check_seed(self.seed)
