"""Configurations of the training activities; importing them loads neither torch nor h5py."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from genie_gym.utils.options import CheckpointArgument, FinetuneOptions, ThreadOptions, make_config
from genie_gym.utils.validation import at_least, at_most, check_seed, more_than_zero

__all__ = [
    "FinetuneConfig",
    "FinetuneRunConfig",
    "MapActionsConfig",
    "TerminationTrainConfig",
    "TrainConfig",
    "TrainingRunOptions",
    "UpscalerTrainConfig",
    "as_config",
]

Config = TypeVar("Config")

MOST_CLIPS = 20_000  # their features are held in memory: 5 GB for the preset tiny-transformer


def as_config(kind: type[Config], given: Config | str | Path, options: dict[str, Any]) -> Config:
    """Return a configuration: the one given, or one built from the value of its required field and other options.

    Raises:
        ConfigError: A configuration and options were given, or an option is unknown or out of range.
    """
    if isinstance(given, kind):
        return make_config(kind, given, options)
    (required,) = (one.name for one in fields(kind) if one.default is MISSING)  # type: ignore[arg-type]
    return make_config(kind, None, {required: str(given)} | options)


@dataclass(frozen=True, kw_only=True)
class RunFolderOptions(ThreadOptions):
    """Where a training run keeps what it needs to be resumed.

    Attributes:
        run: Folder of the training state, which makes the run resumable, and of the TensorBoard curves; below the data
            folder by default.
    """

    run: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingRunOptions(RunFolderOptions):
    """Options of every training run that is resumed by running the same command again.

    Attributes:
        preset: Sizes and training recipe: tiny (convolutions) for two CPU cores, small for one consumer GPU, paper for
            the published sizes, tiny-transformer for their architecture on two CPU cores.
        minutes: Training time of all stages together; by default the preset's number of steps.
        seed: Random seed.

    Raises:
        ConfigError: A value is out of range.
    """

    preset: str = "tiny"
    minutes: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        more_than_zero(minutes=self.minutes)
        at_least(1, threads=self.threads)


@dataclass(frozen=True)
class TrainConfig(TrainingRunOptions):
    """Training of a world model on recorded episodes of a game, or of many games.

    Attributes:
        game: Name of a game, such as Airstriker-Genesis, or of your own dataset; with games, a name for their model.
        games: One model of several games: their names, a text file with one name a line, a set of RetroAct
            (platformers-50) or all, for those that have a dataset. Actions that do the same in several games are one
            action of the model.
        data: Folder of the dataset; the game's own below the data folder by default. With games, the folder that holds
            a dataset of each, as collect --games --out makes it.
        out: Folder of the checkpoint; by default where gymnasium.make looks for the game's weights. An upscaler that
            the game has there is kept, and so is its action map if the latent actions stay the same.
        latent_actions: Number of latent actions, learned from the frames, that replace the recorded actions (the
            paper's GenieRedux). By default 8 if the dataset has no actions, else 0: the recorded ones are used.
        joint: Train the latent action model and the dynamics together, as Genie does, rather than one after the other.
        compile: Compile the training steps with torch, which takes minutes at first. On a CPU the preset
            tiny-transformer is then a tenth faster, paper is slower, and tiny takes five minutes and more to compile
            for each length of clip.
        shard: Divide weights, gradients and optimiser state among the processes that torchrun started (FSDP2), for
            models past one card. Not with the preset tiny, nor with compile.

    Raises:
        ConfigError: A value is out of range.
    """

    game: str
    games: tuple[str, ...] = ()
    data: Path | None = None
    out: Path | None = None
    latent_actions: int | None = None
    joint: bool = False
    compile: bool = False
    shard: bool = False


@dataclass(frozen=True)
class UpscalerTrainConfig(TrainingRunOptions, CheckpointArgument):
    """Training of an upscaler, which enlarges the frames of a world model to 256x256 pixels.

    Attributes:
        data: Folder of a dataset recorded with collect --high-res; the game's own below the data folder by default.
        out: Folder of the checkpoint with its upscaler. By default the checkpoint itself is changed, or, if it is the
            one that ships with genie_gym, a copy where gymnasium.make looks for the game's weights.

    Raises:
        ConfigError: A value is out of range.
    """

    data: Path | None = None
    out: Path | None = None


@dataclass(frozen=True)
class FinetuneConfig(FinetuneOptions):
    """Length, learning rate and seed of a finetuning.

    Attributes:
        seed: Random seed.
        real_actions: Turn a model of latent actions into one of the recorded actions, each of which begins at the mean
            of the latent actions where it was taken.

    Raises:
        ConfigError: A value is out of range.
    """

    seed: int = 0
    real_actions: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class FinetuneRunConfig(FinetuneConfig, RunFolderOptions, CheckpointArgument):
    """Finetuning of a checkpoint on other datasets, with the same actions or with others.

    Attributes:
        data: Folders of the new datasets, of one game; the game's own below the data folder by default.
        old: Folders of earlier datasets, so that what was learned from them is not forgotten.
        out: Folder of the finetuned checkpoint; by default the folder checkpoint in the run folder.

    Raises:
        ConfigError: A value is out of range.
    """

    data: tuple[Path, ...] = ()
    old: tuple[Path, ...] = ()
    out: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, threads=self.threads)


@dataclass(frozen=True, kw_only=True)
class TerminationTrainConfig(RunFolderOptions, CheckpointArgument):
    """Training of the head that tells whether an episode ended; the world's frames and rewards stay as they are.

    Attributes:
        data: Folders of datasets with episodes that the game ended, some hundreds of them; the game's own below the
            data folder by default.
        steps: Optimiser steps.
        clips: Clips drawn from the steps at which no episode ends, beside all ends.
        out: Folder of the checkpoint with its new head. By default the checkpoint itself is changed, or, if it is the
            one that ships with genie_gym, a copy where gymnasium.make looks for the game's weights.
        seed: Random seed.

    Raises:
        ConfigError: A value is out of range.
    """

    data: tuple[Path, ...] = ()
    steps: int = 1000
    clips: int = 400
    out: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        at_least(1, steps=self.steps, clips=self.clips, threads=self.threads)
        at_most(MOST_CLIPS, clips=self.clips)


@dataclass(frozen=True)
class MapActionsConfig(CheckpointArgument):
    """Search for the real game's actions among the latent actions of a world model.

    Attributes:
        data: Folder of a dataset with recorded actions, of some minutes; the game's own below the data folder by
            default.
        out: Folder of a copy of the checkpoint with the action map; by default the checkpoint itself is changed.
        seed: Random seed of the shuffled control.

    Raises:
        ConfigError: A value is out of range.
    """

    data: Path | None = None
    out: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
