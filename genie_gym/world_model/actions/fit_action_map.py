"""Fitting an action map: which latent action stands for each real action, from a few minutes of recorded actions."""

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table

from genie_gym.data import EpisodeDataset, split
from genie_gym.errors import ConfigError
from genie_gym.metrics.latent_actions import count_pairs
from genie_gym.models.lam import LatentActionModel
from genie_gym.world_model import ActionMap, Checkpoint
from genie_gym.world_model.actions.action_map import ActionFit, ActionMapFit
from genie_gym.world_model.actions.latent_relabel import compare_actions, paired_actions, relabel_with_latent_actions

__all__ = ["choose_codes", "fit_action_map", "summary"]


def fit_action_map(checkpoint: Checkpoint, dataset: EpisodeDataset, seed: int = 0) -> ActionMap:
    """Choose a latent action for each action of a dataset, on its training episodes.

    Args:
        checkpoint: A model of latent actions.
        dataset: Episodes of the same game with recorded actions; some minutes are enough.
        seed: Random seed of the shuffled control.

    Returns:
        The map, and how well it explains the held-out episodes (all of them if there is only one).

    Raises:
        ConfigError: The model has no latent actions, or the dataset no recorded ones.
    """
    latent = _require_latent_actions(checkpoint, dataset)
    relabelled = relabel_with_latent_actions(dataset, latent)
    train, held_out = split(dataset) if len(dataset) > 1 else (np.array([0]), np.array([0]))
    actions = dataset.header["game"]["actions"]
    counts = count_pairs(*paired_actions(relabelled, dataset, train), (latent.config.codes, len(actions)))
    codes = choose_codes(counts)
    inferred, recorded = paired_actions(relabelled, dataset, held_out)
    fit = ActionMapFit(
        agreement=compare_actions(inferred, recorded, seed),
        explained=_share(np.array(codes)[recorded] == inferred),
        one_code=float(np.bincount(inferred).max() / len(inferred)),
        actions=tuple(
            ActionFit(action["meaning"], code, int(steps), _share(inferred[recorded == i] == code))
            for i, (action, code, steps) in enumerate(zip(actions, codes, counts.sum(0), strict=True))
        ),
    )
    return ActionMap(actions, codes, fit)


def _require_latent_actions(checkpoint: Checkpoint, dataset: EpisodeDataset) -> LatentActionModel:
    latent = checkpoint.model.latent_actions
    if latent is None:
        raise ConfigError(
            f"the model of {checkpoint.game['name']} was trained on real actions: there is nothing to map"
        )
    if not dataset.has_actions:
        raise ConfigError(
            f"{dataset.folder} was recorded without actions; give episodes whose actions are known, --data"
        )
    return latent


def choose_codes(counts: np.ndarray) -> list[int]:
    """Choose a latent action for each action, no two actions the same as long as there are enough.

    The latent action seen most often after an action is a poor choice: most presses change little, so that for nearly
    every action it is the one of "nothing happens". So the value of a latent action to an action is how often it is
    seen after that action, times how surely it indicates it, were all actions equally frequent; the pair of the highest
    value is chosen first. An action never seen gets the most frequent latent action.

    Args:
        counts: int64 (codes, actions), how often each was seen with each.
    """
    frequency = counts / counts.sum(0).clip(min=1)
    value = frequency**2 / frequency.sum(1, keepdims=True).clip(min=1e-9)
    chosen: dict[int, int] = {}
    for position in np.argsort(-value, axis=None, kind="stable").tolist():
        code, action = divmod(position, counts.shape[1])
        if value[code, action] and action not in chosen and code not in chosen.values():
            chosen[action] = code
    fallback = np.where(counts.any(0), value.argmax(0), counts.sum(1).argmax())
    return [chosen.get(action, int(code)) for action, code in enumerate(fallback)]


def _share(matches: np.ndarray) -> float | None:
    return float(matches.mean()) if len(matches) else None


def summary(action_map: ActionMap) -> Group:
    """Return a map from `fit_action_map` and how well it explains unseen steps, for the terminal."""
    fit = action_map.fit
    assert fit is not None, "a map that was not fitted has no results"
    table = Table("action", "latent action", "steps", "explained", box=box.SIMPLE_HEAD)
    for action in fit.actions:
        table.add_row(action.meaning, str(action.code), f"{action.steps:,}", _percent(action.explained))
    agreement = fit.agreement
    nmi, chance = ("-" if np.isnan(value) else f"{value:.3f}" for value in (agreement.nmi, agreement.shuffled_nmi))
    lines = [
        f"explained: {_percent(fit.explained)} of {agreement.steps:,} unseen steps; "
        f"by the most frequent latent action alone: {_percent(fit.one_code)}",
        f"mutual information of latent and real actions: {nmi}, shuffled {chance}",
    ]
    if fit.explained is not None and fit.explained <= fit.one_code:
        lines.append(
            "These latent actions do not stand for buttons: a single one for all explains as much. Expect little of "
            "this map; more data or longer training of the latent actions may find better ones."
        )
    return Group(table, *lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
