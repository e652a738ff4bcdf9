"""The world models that tables share, trained on random episodes or on a trained agent's (-TA)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.datasets import agent_episodes, random_episodes
from benchmarks.paper.experiment import PaperExperiment, label

__all__ = ["FULL", "PLAIN", "TOKEN_INPUT", "guided", "latent"]

PLAIN, TOKEN_INPUT, FULL = "plain", "token-input", "token-input-tdce"
VARIANTS: dict[str, dict[str, Any]] = {  # of the dynamics; each has what those before it have
    PLAIN: {"token_input": False, "tdce": 0.0},
    TOKEN_INPUT: {"token_input": True, "tdce": 0.0},
    FULL: {"token_input": True, "tdce": 1.0},
}


def guided(
    experiment: PaperExperiment, games: Sequence[str], seed: int, policy: str = "random", variant: str = FULL
) -> Path:
    """Return the checkpoint of GenieRedux-G of one game, or of several together; all variants share their tokenizer.

    Args:
        policy: Whose episodes it is trained on, "random" or "agent".
    """
    data = _data(experiment, games, policy)
    tokenizer_from = None if variant == FULL else guided(experiment, games, seed, policy)
    name = f"{label(games)}/models/guided-{variant}-on-{policy}"
    return experiment.model(name, data, seed, tokenizer_from=tokenizer_from, **VARIANTS[variant])


def latent(experiment: PaperExperiment, game: str, seed: int, policy: str = "random") -> Path:
    """Return the checkpoint of GenieRedux, with tokenizer and dataset of that game's `guided`."""
    tokenizer_from, data = guided(experiment, [game], seed, policy), _data(experiment, [game], policy)
    return experiment.model(f"{game}/models/latent-on-{policy}", data, seed, latent=True, tokenizer_from=tokenizer_from)


def _data(experiment: PaperExperiment, games: Sequence[str], policy: str) -> Path:
    episodes = random_episodes if policy == "random" else agent_episodes
    return experiment.merged(f"{label(games)}/datasets/{policy}", [episodes(experiment, game) for game in games])
