"""Recorded play seen with latent actions: which code led from each frame to the next, and how codes match the truth."""

from typing import Any

import numpy as np
import torch
from einops import rearrange

from genie_gym.data import Recording
from genie_gym.frames import to_model
from genie_gym.metrics import Frames, count_pairs, mutual_information, one_to_one_accuracy
from genie_gym.models.latent_actions import LatentActionModel

__all__ = ["compare_actions", "find_actions", "found_and_true", "latent_game", "see_codes", "with_latent_actions"]

PIECE = 256  # frames in memory as floats at once: an episode may last for hours


def latent_game(game: dict[str, Any], codes: int) -> dict[str, Any]:
    """A game's plain description with so many latent actions in place of its own; the keys 0 to 9 choose the first ten.

    >>> latent_game({"name": "Pinball-Own", "actions": []}, 2)["actions"][1]
    {'meaning': 'LATENT 1', 'buttons': [], 'keys': ['1']}
    """
    actions = [{"meaning": f"LATENT {i}", "buttons": [], "keys": [str(i)] if i < 10 else []} for i in range(codes)]
    return game | {"actions": actions}


def find_actions(frames: np.ndarray, model: LatentActionModel) -> np.ndarray:
    """The codes of an episode's frames, uint8 (T, s, s, 3): int64 (T - 1,)."""
    cache, device = model.encoder.new_cache(1), model.codebook.codes.device
    pieces = (torch.from_numpy(frames[None, i : i + PIECE + 1]) for i in range(0, len(frames) - 1, PIECE))
    return torch.cat([model.codes(to_model(piece.to(device)), cache)[0] for piece in pieces]).cpu().numpy()


def with_latent_actions(recording: Recording, model: LatentActionModel) -> Recording:
    """The recording with the codes that the model finds in each whole episode as its actions."""
    lengths = enumerate(recording.lengths.tolist())
    actions = [find_actions(recording.frames(index, 0, length), model) for index, length in lengths]
    return recording.with_actions(latent_game(recording.header["game"], model.config.codes), actions)


def found_and_true(found: Recording, recording: Recording, episodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The steps of some episodes under latent and under recorded actions, one after the other: int64 (steps,) each."""
    codes, true = (np.concatenate([which.steps(int(i))[0] for i in episodes]) for which in (found, recording))
    return codes, true


def compare_actions(codes: np.ndarray, actions: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """How well codes match true actions, int64 (steps,) each, beside the same codes in random order.

    Returns:
        "nmi": normalised mutual information, 0 to 1; "accuracy": share of steps that agree after the best one-to-one
        map; both also as "shuffled_...", what chance gives. "most_frequent": share of the most frequent action.
        "codes": how many are in use; "steps".
    """
    shuffled = np.random.default_rng(seed).permutation(codes)
    figures: dict[str, Any] = {}
    for prefix, given in (("", codes), ("shuffled_", shuffled)):
        counts = count_pairs(given, actions)
        figures[f"{prefix}nmi"] = mutual_information(counts)
        figures[f"{prefix}accuracy"] = one_to_one_accuracy(counts)
    figures["most_frequent"] = float(np.bincount(actions).max() / len(actions))
    return figures | {"codes": len(np.unique(codes)), "steps": len(codes)}


def see_codes(prompts: Frames, strips: Frames, model: LatentActionModel) -> np.ndarray:
    """What a latent action model sees in dreams: in a world whose codes each do one thing, the codes that were taken.

    Args:
        prompts: uint8 (b, c, s, s, 3), the frames that the dreams started from.
        strips: uint8 (b, a, k, s, s, 3), k frames dreamed in each of a ways.

    Returns:
        int64 (b, a, k).
    """
    ways, steps = strips.shape[1:3]
    clips = (
        np.concatenate([prompt, dream]) for prompt, dreams in zip(prompts, strips, strict=True) for dream in dreams
    )
    return rearrange([find_actions(clip, model)[-steps:] for clip in clips], "(b a) k -> b a k", a=ways)
