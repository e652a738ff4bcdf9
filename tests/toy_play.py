"""Recorded play of the toy game, for tests that need some."""

from dataclasses import replace
from pathlib import Path

from genie_gym import data, games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.collection.rollout import play_episode

__all__ = ["record"]


def record(folder: Path, episodes: int, steps: int, first: int = 0) -> Path:
    """Adds episodes `first` to `episodes` - 1 of at most so many steps, with sticky actions and ids of their own."""
    spec = games.find("Toy")
    with data.EpisodeWriter(folder, {"game": spec.to_dict(), "actions": spec.meanings}) as writer:
        for seed in range(first, episodes):
            episode = play_episode(games.make("Toy"), StickyPolicy(), seed, steps)
            writer.append(replace(episode, info={**episode.info, "id": f"toy-{seed}"}))
    return folder
