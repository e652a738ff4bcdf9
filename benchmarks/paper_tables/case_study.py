"""The models of tables 2 and 3: GenieRedux and GenieRedux-G of one game, on random play or a trained agent's (-TA)."""

from pathlib import Path

from paper_tables.lab import Lab
from paper_tables.plays import agent_play, random_play

__all__ = ["models"]


def models(lab: Lab, game: str, play: str, seed: int) -> tuple[Path, Path]:
    """Checkpoints of GenieRedux-G and GenieRedux, which have the same tokenizer.

    Args:
        play: what they are trained on, "random" or "agent".
    """
    data = random_play(lab, game) if play == "random" else agent_play(lab, game)
    guided = lab.fit(f"{game}/fits/guided-on-{play}", data, seed)
    return guided, lab.fit(f"{game}/fits/latent-on-{play}", data, seed, latent=True, like=guided)
