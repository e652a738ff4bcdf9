"""What a world model is trained on: the recordings of one game, or of many whose actions share one vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_gym import games
from genie_gym.data import EpisodeDataset, MixtureDataset, SequenceDataset
from genie_gym.errors import ConfigError
from genie_gym.games.game_names import game_names
from genie_gym.models.lam import LatentActionModel
from genie_gym.training.config import TrainConfig
from genie_gym.training.records import DataSummary
from genie_gym.training.windows import NUM_CONTEXTS, check_steps, draw_initial_contexts, split_in_two
from genie_gym.utils import paths
from genie_gym.world_model.actions.latent_relabel import latent_game, relabel_with_latent_actions
from genie_gym.world_model.actions.vocabulary import KnownGame, vocabulary_game
from genie_gym.world_model.metadata import DataUsed
from genie_gym.world_model.resolve import check_game, resolve_game

__all__ = ["Recordings", "open_datasets"]

LEAST_CONTEXTS = 8  # of each game: each takes 48 kB, and many games make many


@dataclass(frozen=True)
class Recordings:
    """Recordings to train on.

    Attributes:
        game: Description of the game; of many games, of the model, with their vocabulary as its actions.
        datasets: Their episodes; of many games, with the vocabulary's actions.
        known: The games, if there are many.

    """

    game: dict[str, Any]
    datasets: tuple[EpisodeDataset, ...]
    known: tuple[KnownGame, ...] = ()

    @classmethod
    def of(cls, name: str, datasets: Sequence[EpisodeDataset], many: bool) -> "Recordings":
        """Return the recordings that datasets hold, having checked them.

        Args:
            name: Name of the game, or of the model of many games.
            datasets: That of the game, or those of the games.
            many: Whether they are of many games.

        Raises:
            DataError: A recording holds a single episode, an action is none of its game's or a reward is not finite.
        """
        for dataset in datasets:
            split_in_two(dataset)
            check_steps(dataset)
        if not many:
            return cls(datasets[0].header["game"], tuple(datasets))
        game, known = vocabulary_game(name, [one.header["game"] for one in datasets])
        return cls(game, tuple(_with_vocabulary(*pair, game) for pair in zip(datasets, known, strict=True)), known)

    @cached_property
    def sides(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Indices of the training and of the held-out episodes of each dataset."""
        return [split_in_two(one) for one in self.datasets]

    @property
    def longest(self) -> int:
        """Frames of the longest training episode of the game with the shortest ones."""
        return min(int(lengths.max()) for lengths in self._training_lengths())

    @property
    def frames(self) -> int:
        """Frames of all training episodes."""
        return sum(int(lengths.sum()) for lengths in self._training_lengths())

    def _training_lengths(self) -> list[np.ndarray]:
        return [one.lengths[train] for one, (train, _) in zip(self.datasets, self.sides, strict=True)]

    def windows(self, length: int, side: int, in_memory: bool = False) -> SequenceDataset | MixtureDataset:
        """Return windows of one side, 0 to train on or 1 to validate with; of many games, drawn evenly by game.

        Raises:
            DataError: No episode is long enough.
        """
        parts = [
            SequenceDataset(one, length, sides[side], in_memory=in_memory)
            for one, sides in zip(self.datasets, self.sides, strict=True)
        ]
        if not self.known:
            return parts[0]
        return MixtureDataset(parts, [1.0] * len(parts), [one.name for one in self.known])

    def relabelled(self, model: LatentActionModel) -> "Recordings":
        """Return the same recordings with the actions that a latent action model infers in them."""
        codes = model.config.codes
        datasets = tuple(relabel_with_latent_actions(one, model) for one in self.datasets)
        known = tuple(KnownGame(latent_game(one.game, codes), tuple(range(codes))) for one in self.known)
        return replace(self, game=latent_game(self.game, codes), datasets=datasets, known=known)

    def initial_contexts(self, seed: int) -> dict[str, torch.Tensor]:
        """Return real clips to begin rollouts from, with the number of each one's "games" if there are many."""
        count = max(NUM_CONTEXTS // len(self.datasets), LEAST_CONTEXTS)
        found = [
            draw_initial_contexts(one, train, seed, count)
            for one, (train, _) in zip(self.datasets, self.sides, strict=True)
        ]
        contexts = {name: torch.cat([one[name] for one in found]) for name in found[0]}
        numbers = torch.arange(len(self.known)).repeat_interleave(count)
        return contexts | ({"games": numbers} if self.known else {})

    def summary(self) -> DataSummary:
        """Return what is recorded of them in the metadata."""
        each = [DataSummary.of(one, train) for one, (train, _) in zip(self.datasets, self.sides, strict=True)]
        used = [one.used for one in each]
        sizes = (sum(getattr(one, field.name) for one in used) for field in fields(DataUsed))
        return DataSummary(", ".join(one.folder for one in each), DataUsed(*sizes))


def _with_vocabulary(dataset: EpisodeDataset, known: KnownGame, game: dict[str, Any]) -> EpisodeDataset:
    """The dataset with the vocabulary's actions in place of its game's own."""
    codes = np.array(known.actions, np.int64)
    return dataset.with_actions(game, [codes[dataset.steps(index)[0]] for index in range(len(dataset))])


def open_datasets(config: TrainConfig) -> tuple[str, tuple[EpisodeDataset, ...]]:
    """Return the name of the game or of the model of many games to be trained, and the datasets of its games.

    Raises:
        DataError: There is no dataset.
        ConfigError: A dataset is of another game, or the name of the model is that of a game.
        GameError: There is no such game.
    """
    if not config.games:
        name = resolve_game(config.game, config.data)
        return name, (_dataset(name, config.data),)
    name = paths.own_name(config.game)
    if config.game in games.names():
        raise ConfigError(f"{config.game} is a game; name the model of many games otherwise, such as {name[:-4]}Many")

    def is_there(game: str) -> bool:
        return paths.is_file((config.data / game if config.data else paths.data_dir(game)) / "recording.json")

    found = game_names(config.games, is_there, lambda title: resolve_game(title, config.data))
    return name, tuple(_dataset(game, config.data and config.data / game) for game in found)


def _dataset(game: str, folder: Path | None) -> EpisodeDataset:
    dataset = EpisodeDataset(folder or paths.data_dir(game))
    if game in games.names():  # a game of one's own may have any name
        check_game(game, dataset)
    return dataset
