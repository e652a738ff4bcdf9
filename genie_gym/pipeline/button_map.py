"""Finding the real game's buttons in a world of latent actions, from a few minutes of play whose actions are known."""

from typing import Any

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table

from genie_gym.data import Recording, split
from genie_gym.errors import ConfigError
from genie_gym.metrics import count_pairs
from genie_gym.pipeline.figures import plain
from genie_gym.pipeline.latent_play import compare_actions, found_and_true, with_latent_actions
from genie_gym.world_model import ButtonMap, Checkpoint

__all__ = ["choose_codes", "map_buttons", "summary"]


def map_buttons(checkpoint: Checkpoint, recording: Recording, seed: int = 0) -> ButtonMap:
    """Chooses a latent action for each of the recording's actions, on its training episodes.

    Args:
        checkpoint: a model of latent actions.
        recording: play of the same game with its actions; some minutes are enough.
        seed: of the shuffled control.

    Returns:
        The map. Its figures are of the held-out episodes (of all of them where there is only one): those of
        `compare_actions`, and "explained", the share of steps in which the model sees the very code that the action
        is mapped to; "one_code", that share were all actions mapped to the code that is seen most; "buttons", for each
        action its "meaning", "code", "steps" (all that the map was chosen on) and "explained".

    Raises:
        ConfigError: the model has no latent actions, or the recording no true ones.
    """
    latent = checkpoint.model.latent_actions
    if latent is None:
        raise ConfigError(f"the model of {checkpoint.game['name']} was fitted to real actions: there is nothing to map")
    if not recording.has_actions:
        raise ConfigError(f"{recording.folder} was recorded without actions; give play whose actions are known, --data")
    found = with_latent_actions(recording, latent)
    train, held_out = split(recording) if len(recording) > 1 else (np.array([0]), np.array([0]))
    actions = recording.header["game"]["actions"]
    counts = count_pairs(*found_and_true(found, recording, train), (latent.config.codes, len(actions)))
    chosen = choose_codes(counts)
    seen, pressed = found_and_true(found, recording, held_out)
    figures = compare_actions(seen, pressed, seed) | _explained(chosen, seen, pressed)
    figures["buttons"] = [
        {
            "meaning": action["meaning"],
            "code": code,
            "steps": int(steps),
            "explained": _share(seen[pressed == i] == code),
        }
        for i, (action, code, steps) in enumerate(zip(actions, chosen, counts.sum(0), strict=True))
    ]
    return ButtonMap(actions, chosen, plain(figures))


def choose_codes(counts: np.ndarray) -> list[int]:
    """A code for each action, no two actions the same as long as there are codes enough.

    The code seen most often after an action is a poor choice: most presses change little, so that for nearly every
    action it is the code of "nothing happens". So a code is worth to an action how often it is
    seen after that action, times how surely it tells of it, were all actions equally frequent; the pair that is worth
    most goes first. An action never seen gets the most frequent code.

    Args:
        counts: int64 (codes, actions), how often each was seen with each.
    """
    often = counts / counts.sum(0).clip(min=1)
    worth = often**2 / often.sum(1, keepdims=True).clip(min=1e-9)
    chosen: dict[int, int] = {}
    for place in np.argsort(-worth, axis=None, kind="stable").tolist():
        code, action = divmod(place, counts.shape[1])
        if worth[code, action] and action not in chosen and code not in chosen.values():
            chosen[action] = code
    rest = np.where(counts.any(0), worth.argmax(0), counts.sum(1).argmax())
    return [chosen.get(action, int(code)) for action, code in enumerate(rest)]


def _explained(chosen: list[int], seen: np.ndarray, pressed: np.ndarray) -> dict[str, Any]:
    return {
        "explained": _share(np.array(chosen)[pressed] == seen),
        "one_code": float(np.bincount(seen).max() / len(seen)),
    }


def _share(true: np.ndarray) -> float:
    return float(true.mean()) if len(true) else float("nan")


def summary(buttons: ButtonMap) -> Group:
    """The map and how well it fits, for the terminal."""
    figures = buttons.figures
    table = Table("button", "latent action", "steps", "explained", box=box.SIMPLE_HEAD)
    for row in figures["buttons"]:
        table.add_row(row["meaning"], str(row["code"]), f"{row['steps']:,}", _percent(row["explained"]))
    explained, alone = _percent(figures["explained"]), _percent(figures["one_code"])
    known, chance = ("-" if figures[key] is None else f"{figures[key]:.3f}" for key in ("nmi", "shuffled_nmi"))
    lines = [
        f"explained: {explained} of {figures['steps']:,} unseen steps; by the most frequent code alone: {alone}",
        f"mutual information of codes and buttons: {known}, shuffled {chance}",
    ]
    if figures["explained"] is not None and figures["explained"] <= figures["one_code"]:
        lines.append(
            "These codes do not stand for buttons: a single code for all explains as much. Expect little of this map; "
            "more play or a longer fit of the latent actions may find better codes."
        )
    return Group(table, *lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
