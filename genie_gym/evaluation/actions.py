"""The actions under which a model is evaluated: its own, inferred latent ones, or real ones through an action map."""

from dataclasses import dataclass

import numpy as np

from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError
from genie_gym.models.lam import LatentActionModel
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.actions.action_map import ActionAgreement
from genie_gym.world_model.actions.latent_relabel import compare_actions, paired_actions, relabel_with_latent_actions

__all__ = ["ModelActions", "check_actions", "to_model_actions"]


@dataclass(frozen=True)
class ModelActions:
    """A dataset under the actions of a model.

    Attributes:
        dataset: The episodes, with actions that the model knows.
        choices: Actions that random ones are drawn from, int64 (actions,).
        mapped: Whether recorded actions were translated through the action map.
        agreement: Agreement of inferred and recorded actions; None for models of real actions, or where no actions
            were recorded.
    """

    dataset: EpisodeDataset
    choices: np.ndarray
    mapped: bool = False
    agreement: ActionAgreement | None = None


def to_model_actions(
    checkpoint: Checkpoint, dataset: EpisodeDataset, episodes: np.ndarray, real_actions: bool, seed: int
) -> ModelActions:
    """Express the actions of a dataset as those of a model.

    Args:
        checkpoint: The world model.
        dataset: Episodes of its game.
        episodes: Indices of the episodes on which latent and recorded actions are compared.
        real_actions: Whether a latent action model is given the recorded actions through its action map.
        seed: Random seed of the shuffled comparison.

    Raises:
        ConfigError: The dataset has other actions than the model, or the action map is missing.
    """
    choices, latent = np.arange(len(checkpoint.game["actions"])), checkpoint.model.latent_actions
    if latent is None:
        check_actions(checkpoint, dataset)
        return ModelActions(dataset, choices)
    mapped = _mapped(checkpoint, dataset) if real_actions else None  # complains before minutes of work
    inferred, agreement = _inferred(latent, dataset, episodes, seed)
    if mapped is not None:
        return ModelActions(*mapped, mapped=True, agreement=agreement)
    check_actions(checkpoint, inferred)
    return ModelActions(inferred, choices, agreement=agreement)


def check_actions(checkpoint: Checkpoint, dataset: EpisodeDataset) -> None:
    """Raise ConfigError if the actions of the dataset are not those of the model."""
    _check_same([action["meaning"] for action in checkpoint.game["actions"]], dataset)


def _inferred(
    model: LatentActionModel, dataset: EpisodeDataset, episodes: np.ndarray, seed: int
) -> tuple[EpisodeDataset, ActionAgreement | None]:
    """Return the dataset under inferred latent actions, and their agreement with the recorded ones."""
    inferred = relabel_with_latent_actions(dataset, model)
    if not dataset.has_actions:
        return inferred, None
    return inferred, compare_actions(*paired_actions(inferred, dataset, episodes), seed)


def _mapped(checkpoint: Checkpoint, dataset: EpisodeDataset) -> tuple[EpisodeDataset, np.ndarray]:
    """Return the dataset under the latent actions its own are mapped to, and that map, int64 (real actions,)."""
    action_map = checkpoint.require_action_map()
    _check_same([action["meaning"] for action in action_map.actions], dataset)
    codes, game = np.array(action_map.codes), dataset.header["game"] | {"actions": checkpoint.game["actions"]}
    return dataset.with_actions(game, [codes[dataset.steps(index)[0]] for index in range(len(dataset))]), codes


def _check_same(mine: list[str], dataset: EpisodeDataset) -> None:
    theirs = list(dataset.header["actions"])
    if mine != theirs:
        raise ConfigError(
            f"the model's actions are {', '.join(mine)}; those of {dataset.folder} are {', '.join(theirs)}: "
            "give a dataset of the model's own game with --data"
        )
