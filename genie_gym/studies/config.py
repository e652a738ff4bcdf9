"""Settings of a user study, and of the evaluation of its answers."""

from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import ConfigError
from genie_gym.utils.options import ComputeOptions
from genie_gym.utils.validation import at_least, at_most, check_seed, check_types, short

__all__ = ["KINDS", "SHOWN", "StudyConfig", "StudyResultsConfig"]

KINDS = ("rate", "choose")
SHOWN = ("dream", "reconstruction")
MOST_SAMPLES, MOST_FRAMES = 1000, 64
LONGEST_LABEL = 60


@dataclass(frozen=True)
class StudyConfig(ComputeOptions):
    """What the participants of a user study judge (section 5 of the paper, figure 8).

    Attributes:
        models: Games, checkpoint folders or ids on the hub. A file that exists goes on without them.
        file: The study: its clips and all answers, one SQLite file. One that exists is continued.
        kind: What is asked. rate: how alike two clips are, from 1 to 5, a real one and the same scene as a model shows
            it. choose: which of two models carries out an action, from a single frame.
        labels: Name of each model in the results, by default that of its folder. Models of several games that were
            trained alike may share one.
        data: Datasets of the models' games; by default those in the data folder. Held-out episodes are shown.
        samples: Pairs of clips; by default 120 to rate, of which as many as of each model show the real clip twice, and
            60 to choose from.
        frames: Frames of a clip.
        context: Real frames that a rated dream begins with.
        shown: What is rated: dream, or reconstruction, which encodes and decodes the real frames.
        actions: Names of the actions to choose by; by default the first three of the game that do something.
        starts: Folder of pictures to choose from, such as of a player in mid-air; by default frames of held-out
            episodes in which most is moving, since a single frame does not tell where to.
        seed: Random seed: which clips are shown, and in which order and on which side to whom.
    """

    models: tuple[str, ...] = ()
    file: Path = Path("study.sqlite")
    kind: str = "rate"
    labels: tuple[str, ...] = ()
    data: tuple[Path, ...] = ()
    samples: int | None = None
    frames: int = 16
    context: int = 2
    shown: str = "dream"
    actions: tuple[str, ...] = ()
    starts: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_seed(self.seed)
        for name, known in (("kind", KINDS), ("shown", SHOWN)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be {' or '.join(known)}; got {short(getattr(self, name))}")
        at_least(1, samples=self.samples, context=self.context, threads=self.threads)
        at_least(2, frames=self.frames)
        at_most(MOST_SAMPLES, samples=self.samples)
        at_most(MOST_FRAMES, frames=self.frames)
        if self.context >= self.frames:
            raise ConfigError(f"context must be less than the frames of a clip, {self.frames}; got {self.context}")
        if self.labels and len(self.labels) != len(self.models):
            raise ConfigError(f"give one label for each model; got {len(self.labels)} for {len(self.models)}")
        if wrong := [one for one in self.labels if not one.isprintable() or not 0 < len(one) <= LONGEST_LABEL]:
            raise ConfigError(f"a label has 1 to {LONGEST_LABEL} printable letters; got {short(wrong[0])}")
        if self.kind == "choose" and self.models and len(self.models) != 2:
            raise ConfigError(f"choose compares two models of one game; got {len(self.models)}")

    @property
    def count(self) -> int:
        """Pairs of clips."""
        return self.samples or (120 if self.kind == "rate" else 60)


@dataclass(frozen=True)
class StudyResultsConfig:
    """What is made of the answers of a user study.

    Attributes:
        file: The study.
        out: Folder for the figures (results.json) and the plot (results.png); by default that of the study, with its
            name.
    """

    file: Path
    out: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)

    @property
    def folder(self) -> Path:
        """Where results are written."""
        return self.out or self.file.with_name(f"{self.file.stem}-results")
