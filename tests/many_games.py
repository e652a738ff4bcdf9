"""Two games that are the same but for the order of their buttons: the toy game, and one whose buttons are permuted."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from genie_gym import data, games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.collection.rollout import play_episode
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.actions.vocabulary import vocabulary_game

__all__ = ["ORDER", "PERMUTED", "TOY", "as_many", "record_two"]

ORDER = (3, 0, 2, 1)  # the toy game's action of each of the other's
TOY = games.find("Toy-Numpy")
PERMUTED = replace(TOY, name="Mirror-Own", title="Mirror", system="Own", actions=tuple(TOY.actions[i] for i in ORDER))


def record_two(folder: Path, seeds: tuple[Iterable[int], Iterable[int]] = (range(8), range(8, 16))) -> Path:
    """Record episodes of the toy game with these seeds, those of the second as play of the other game."""
    own = np.argsort(ORDER)
    for spec, chosen in zip((TOY, PERMUTED), seeds, strict=True):
        with data.EpisodeWriter(folder / spec.name, {"game": spec.to_dict(), "actions": spec.meanings}) as writer:
            for seed in chosen:
                episode = play_episode(games.make("Toy"), StickyPolicy(), seed, 40)
                actions = episode.actions if spec is TOY else own[episode.actions]
                writer.append(replace(episode, actions=actions, info={**episode.info, "id": f"{spec.name}-{seed}"}))
    return folder


def as_many(toy: Checkpoint) -> Checkpoint:
    """A model of the toy game as one of both, half of whose initial contexts are of each."""
    game, known = vocabulary_game("Both-Own", [TOY.to_dict(), PERMUTED.to_dict()])
    count = len(toy.initial_contexts["frames"])
    numbers = torch.arange(2).repeat_interleave(count // 2)
    return replace(toy, game=game, games=known, initial_contexts={**toy.initial_contexts, "games": numbers})
