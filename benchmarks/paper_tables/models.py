"""The world models that tables share, of random play or of a trained agent's (-TA): each is fitted once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paper_tables.lab import Lab, label
from paper_tables.plays import agent_play, random_play

__all__ = ["FULL", "PLAIN", "TOKEN_INPUT", "guided", "latent"]

PLAIN, TOKEN_INPUT, FULL = "plain", "token-input", "token-input-tdce"
VARIANTS: dict[str, dict[str, Any]] = {  # of the dynamics; each has what those before it have
    PLAIN: {"token_input": False, "tdce": 0.0},
    TOKEN_INPUT: {"token_input": True, "tdce": 0.0},
    FULL: {"token_input": True, "tdce": 1.0},
}


def guided(lab: Lab, games: Sequence[str], seed: int, play: str = "random", variant: str = FULL) -> Path:
    """GenieRedux-G of one game or of several together; its checkpoint. All variants have the same tokenizer.

    Args:
        play: what it is trained on, "random" or "agent".
    """
    data = _data(lab, games, play)
    like = None if variant == FULL else guided(lab, games, seed, play)
    return lab.fit(f"{label(games)}/fits/guided-{variant}-on-{play}", data, seed, like=like, **VARIANTS[variant])


def latent(lab: Lab, game: str, seed: int, play: str = "random") -> Path:
    """GenieRedux, with the tokenizer and the recording of that game's `guided`."""
    like = guided(lab, [game], seed, play)
    return lab.fit(f"{game}/fits/latent-on-{play}", _data(lab, [game], play), seed, latent=True, like=like)


def _data(lab: Lab, games: Sequence[str], play: str) -> Path:
    record = random_play if play == "random" else agent_play
    return lab.merged(f"{label(games)}/play/{play}", [record(lab, game) for game in games])
