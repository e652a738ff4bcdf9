"""Settings of the annotation of games."""

from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import check_seed, check_types, short

__all__ = ["ONLY", "AnnotateConfig"]

ONLY = ("all", "new", "edit")


@dataclass(frozen=True)
class AnnotateConfig:
    """Which games are annotated.

    Attributes:
        games: Games, or text files with one name a line; by default all that can be started here.
        file: Table in RetroAct's columns, read if it exists; what is saved on the page is written there at once.
        only: Which of the games: all, new ones that the table lacks, or edit those that it has.
        seed: Random seed of the random play that leads to some of the states from which buttons are tried.
    """

    games: tuple[str, ...] = ()
    file: Path = Path("annotations.csv")
    only: str = "all"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_seed(self.seed)
        if self.only not in ONLY:
            raise ConfigError(f"only must be one of {', '.join(ONLY)}; got {short(self.only)}")
