"""The model card of a checkpoint: README.md in its folder."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from genie_gym.utils.paths import open_regular

if TYPE_CHECKING:
    from genie_gym.world_model.checkpoint import Checkpoint

__all__ = ["model_card", "with_added_sections"]

MOST_CARD = 2**20  # bytes of a model card whose sections are kept


def model_card(checkpoint: "Checkpoint") -> str:
    """Return the model card: what the model is, how it was made, its validation metrics."""
    made = "\n".join(f"- {name}: {value}" for name, value in checkpoint.metadata.summary())
    scores = "\n".join(f"- {name}: {value:.4g}" for name, value in checkpoint.metadata.metrics.items())
    kind = "GenieRedux-G" if checkpoint.model.latent_actions is None else "GenieRedux (latent actions)"
    return (
        "---\nlibrary_name: genie_gym\ntags: [world-model, reinforcement-learning, gymnasium]\n---\n\n"
        f"# World model of {checkpoint.game['name']}\n\nA {kind} world model, to be stepped as a Gymnasium "
        f"environment by genie_gym.\n\n{_games(checkpoint)}"
        f"## How it was made\n\n{made}\n\n## Validation metrics\n\n{scores}\n"
    )


def _games(checkpoint: "Checkpoint") -> str:
    """The games of a model of many games, each with its actions by what they do."""
    if not checkpoint.games:
        return ""
    names = [action["meaning"] for action in checkpoint.game["actions"]]
    lines = "\n".join(f"- {one.name}: {', '.join(names[code] for code in one.actions)}" for one in checkpoint.games)
    return f"## Games and their actions\n\n{lines}\n\n"


def with_added_sections(card: str, path: Path) -> str:
    """Return the card, followed by those sections of the card in a file that it does not have."""
    try:
        with open_regular(path) as file:
            sections = re.split(r"^(?=## )", file.read(MOST_CARD).decode(), flags=re.MULTILINE)[1:]
    except (OSError, ValueError):
        return card
    titles = {line for line in card.splitlines() if line.startswith("## ")}
    added = [section for section in sections if section.splitlines()[0] not in titles]
    return "\n".join([card, *(section.rstrip("\n") + "\n" for section in added)])
