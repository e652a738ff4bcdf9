"""How a checkpoint was made: preset, data, training stages and finetuning, as plain values that JSON can hold."""

from dataclasses import asdict, dataclass, field
from typing import Any

from genie_gym.utils.jsonable import from_jsonable

__all__ = ["DataUsed", "FinetuneRecord", "StageRecord", "TrainingMetadata"]


@dataclass(frozen=True)
class DataUsed:
    """A dataset as a training run found it.

    Attributes:
        episodes: Episodes in the dataset.
        frames: Frames of all episodes together.
        trained_on: Episodes trained on; the others are held out.

    >>> print(DataUsed(episodes=9, frames=900, trained_on=8))
    9 episodes, 900 frames, 8 episodes trained on
    """

    episodes: int
    frames: int
    trained_on: int

    def __str__(self) -> str:
        return f"{self.episodes} episodes, {self.frames} frames, {self.trained_on} episodes trained on"


@dataclass(frozen=True)
class StageRecord:
    """One training stage.

    Attributes:
        steps: Optimiser steps.
        minutes: Wall-clock time.
        metrics: Results of the last validation.

    >>> print(StageRecord(steps=2400, minutes=19.21))
    2400 steps, 19.2 minutes
    """

    steps: int
    minutes: float
    metrics: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.steps} steps, {self.minutes:.1f} minutes"


@dataclass(frozen=True)
class FinetuneRecord:
    """One finetuning run.

    Attributes:
        source: Where the new episodes come from.
        data: The new datasets.
        new_share: Share of the training clips that came from the new datasets.
        stages: The stages "decoder" and "dynamics".
        seed: Random seed.
        software: Versions and machine.
        weights: Which weights of the dynamics changed: "all", "actions" or "lora".

    >>> record = FinetuneRecord("sticky policy", (DataUsed(9, 900, 8),), stages={"decoder": StageRecord(10, 0.5)})
    >>> print(record)
    sticky policy: 9 episodes, 900 frames, 8 episodes trained on, 100% of the clips; decoder 10 steps, 0.5 minutes
    """

    source: str
    data: tuple[DataUsed, ...] = ()
    new_share: float = 1.0
    stages: dict[str, StageRecord] = field(default_factory=dict)
    seed: int = 0
    software: str = ""
    weights: str = "all"

    def __str__(self) -> str:
        stages = "".join(f"; {name} {stage}" for name, stage in self.stages.items())
        which = "" if self.weights == "all" else f"; weights {self.weights}"
        return f"{self.source}: {' and '.join(map(str, self.data))}, {self.new_share:.0%} of the clips{stages}{which}"


@dataclass(frozen=True)
class TrainingMetadata:
    """How a world model was made.

    Attributes:
        preset: Name of the preset.
        seed: Random seed.
        data: Datasets trained on; more than one where a resumed run found more episodes.
        stages: Stages by name: "tokenizer", "latent_actions", "dynamics"; "joint" where the last two were one.
        finetuning: Finetuning runs, oldest first.
        software: Versions and machine.
        upscaler: How the upscaler was made, if there is one.
        termination: How the head that tells the ends of episodes was trained, if it was trained alone.
        commands: Commands that reproduce the model, where known.
        notes: Anything else.
    """

    preset: str = "tiny"
    seed: int = 0
    data: tuple[DataUsed, ...] = ()
    stages: dict[str, StageRecord] = field(default_factory=dict)
    finetuning: tuple[FinetuneRecord, ...] = ()
    software: str = ""
    upscaler: str | None = None
    termination: str | None = None
    commands: tuple[str, ...] = ()
    notes: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """Results of the last validation of each stage, by stage and name: "dynamics accuracy"."""
        stages = dict(self.stages)
        for record in self.finetuning:
            stages |= {"tokenizer" if name == "decoder" else name: stage for name, stage in record.stages.items()}
        return {f"{stage} {name}": value for stage, one in stages.items() for name, value in one.metrics.items()}

    def summary(self) -> list[tuple[str, str]]:
        """Return what is known as names and values in words, for the model card and reports."""
        rows = [("preset", self.preset), ("seed", str(self.seed)), ("data", "; then ".join(map(str, self.data)))]
        rows += [(name.replace("_", " "), str(stage)) for name, stage in self.stages.items()]
        rows += [("software", self.software)]
        for number, record in enumerate(self.finetuning, 1):
            rows += [(f"finetuning {number}", f"{record}; seed {record.seed}; {record.software}")]
        rows += [("upscaler", self.upscaler or ""), ("ends of episodes", self.termination or "")]
        rows += [("commands", "; ".join(self.commands)), ("notes", self.notes)]
        return [(name, value) for name, value in rows if value]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingMetadata":
        """Build the metadata from plain values, as `to_dict` returns them or as JSON has them.

        Raises:
            ValueError: The values are those of something else.
        """
        return from_jsonable(cls, values, "metadata")
