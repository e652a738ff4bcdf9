"""The vocabulary of a model of many games: names of actions that mean the same in all games, and how new ones begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genie_gym.games.retroact import action_names

__all__ = ["KnownGame", "mixture_of_names", "names_of", "vocabulary_game", "vocabulary_of"]


@dataclass(frozen=True)
class KnownGame:
    """A game that a model of many games was trained on.

    Attributes:
        game: Its description as in `GameSpec.to_dict`.
        actions: For each of its actions the index in the model's vocabulary.
    """

    game: dict[str, Any]
    actions: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its canonical name."""
        return self.game["name"]


def names_of(game: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a game's actions by what they do, see `action_names`.

    Args:
        game: Its description as in `GameSpec.to_dict`.
    """
    return action_names(game["name"], [action["meaning"] for action in game["actions"]])


def vocabulary_of(games: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the names of the actions of games, each once, in the order in which they are first met.

    >>> vocabulary_of([{"name": "Toy-Numpy", "actions": [{"meaning": "NOOP"}, {"meaning": "JUMP"}]}])
    ('NOOP', 'jump')
    """
    return tuple(dict.fromkeys(name for game in games for name in names_of(game)))


def vocabulary_game(name: str, games: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], tuple[KnownGame, ...]]:
    """Return the description of a model of many games, whose actions are its vocabulary, and those of its games.

    The keys of an action are those that it has in the first game that has it.

    Args:
        name: Name of the model, as that of a game.
        games: Descriptions of the games.
    """
    vocabulary = vocabulary_of(games)
    known = tuple(KnownGame(game, tuple(vocabulary.index(one) for one in names_of(game))) for game in games)
    actions: dict[str, dict[str, Any]] = {}
    for game in games:
        for own, action in zip(names_of(game), game["actions"], strict=True):
            actions.setdefault(own, {"meaning": own, "buttons": [], "keys": list(action.get("keys", []))})
    title = name.rpartition("-")[0]
    fps = float(min(game.get("fps", 15.0) for game in games))
    described = {"name": name, "title": title, "system": "Own", "actions": list(actions.values()), "fps": fps}
    return described | {"frame_skip": 1, "noop_max": 0}, known


def mixture_of_names(names: Sequence[str], known: Sequence[str]) -> Tensor:
    """Return how actions begin that are known by name only: as the mean of the nearest known names.

    A name that is known is itself. Else those known names are nearest that share most parts with it, as a share of the
    parts of both: of "right+jump" these are "right" and "jump". Where no name shares a part, all are equally near.

    Args:
        names: Names of the actions.
        known: The vocabulary.

    Returns:
        float (names, known), rows that sum to 1, for `MaskedPrediction.with_actions`.

    >>> mixture_of_names(["jump", "right+jump"], ["noop", "right", "jump"]).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.5, 0.5]]
    """
    near = torch.tensor([[_overlap(name, other) for other in known] for name in names])
    nearest = (near == near.amax(1, keepdim=True)).float()
    return nearest / nearest.sum(1, keepdim=True)


def _overlap(one: str, other: str) -> float:
    """Return the share of common parts; 1 for the same name."""
    mine, theirs = set(one.split("+")), set(other.split("+"))
    return float(one == other) or 0.999 * len(mine & theirs) / len(mine | theirs)
