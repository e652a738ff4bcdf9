"""Datasets relabelled with latent actions, and how these agree with the recorded actions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange

from genie_gym.data import EpisodeDataset
from genie_gym.metrics.image import Frames
from genie_gym.metrics.latent_actions import count_pairs, mutual_information, one_to_one_accuracy
from genie_gym.models.lam import LatentActionModel
from genie_gym.utils.images import to_model
from genie_gym.utils.progress import tracked
from genie_gym.world_model.actions.action_map import ActionAgreement

__all__ = [
    "compare_actions",
    "infer_actions",
    "infer_rollout_actions",
    "latent_game",
    "paired_actions",
    "relabel_with_latent_actions",
]

CHUNK = 256  # frames in memory as floats: an episode may last for hours


def latent_game(game: dict[str, Any], codes: int) -> dict[str, Any]:
    """Return a game's description with latent actions in place of its own; the keys 0 to 9 take the first ten.

    >>> latent_game({"name": "Pinball-Own", "actions": []}, 2)["actions"][1]
    {'meaning': 'LATENT 1', 'buttons': [], 'keys': ['1']}
    """
    actions = [{"meaning": f"LATENT {i}", "buttons": [], "keys": [str(i)] if i < 10 else []} for i in range(codes)]
    return game | {"actions": actions}


def infer_actions(frames: np.ndarray, model: LatentActionModel) -> np.ndarray:
    """Return the latent actions between the frames of an episode.

    Args:
        frames: uint8 (T, s, s, 3).
        model: The latent action model.

    Returns:
        int64 (T - 1,).
    """
    cache, device = model.encoder.new_cache(1), model.codebook.codes.device
    chunks = (torch.from_numpy(frames[None, i : i + CHUNK + 1]) for i in range(0, len(frames) - 1, CHUNK))
    return torch.cat([model.codes(to_model(chunk.to(device)), cache)[0] for chunk in chunks]).cpu().numpy()


def relabel_with_latent_actions(dataset: EpisodeDataset, model: LatentActionModel) -> EpisodeDataset:
    """Return the dataset with the latent actions that the model infers in each whole episode as its actions."""
    lengths = tracked(enumerate(dataset.lengths.tolist()), "latent actions", len(dataset), unit="episodes")
    actions = [infer_actions(dataset.frames(index, 0, length), model) for index, length in lengths]
    return dataset.with_actions(latent_game(dataset.header["game"], model.config.codes), actions)


def paired_actions(
    relabelled: EpisodeDataset, dataset: EpisodeDataset, episodes: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return latent and recorded actions of the same steps.

    Args:
        relabelled: The dataset with latent actions.
        dataset: The same dataset with its recorded actions.
        episodes: Indices of the episodes, whose steps are joined.

    Returns:
        int64 (steps,) each.
    """
    latent, recorded = (np.concatenate([one.steps(int(i))[0] for i in episodes]) for one in (relabelled, dataset))
    return latent, recorded


def compare_actions(latent: np.ndarray, recorded: np.ndarray, seed: int = 0) -> ActionAgreement:
    """Compare latent with recorded actions, and the same latent actions in random order as a control.

    Args:
        latent: int64 (steps,).
        recorded: int64 (steps,), the actions of the same steps.
        seed: Random seed of the control.
    """
    shuffled = np.random.default_rng(seed).permutation(latent)
    counts, control = count_pairs(latent, recorded), count_pairs(shuffled, recorded)
    return ActionAgreement(
        nmi=mutual_information(counts),
        accuracy=one_to_one_accuracy(counts),
        shuffled_nmi=mutual_information(control),
        shuffled_accuracy=one_to_one_accuracy(control),
        most_frequent=float(np.bincount(recorded).max() / len(recorded)),
        codes=len(np.unique(latent)),
        steps=len(latent),
    )


def infer_rollout_actions(prompts: Frames, rollouts: Frames, model: LatentActionModel) -> np.ndarray:
    """Return the latent actions that a model infers in imagined rollouts.

    In a world whose latent actions each do one thing, they are the actions that were taken.

    Args:
        prompts: uint8 (b, c, s, s, 3), the frames that the rollouts started from.
        rollouts: uint8 (b, a, k, s, s, 3), k frames of each of a rollouts.
        model: The latent action model.

    Returns:
        int64 (b, a, k).
    """
    branches, steps = rollouts.shape[1:3]
    clips = (np.concatenate([prompt, one]) for prompt, many in zip(prompts, rollouts, strict=True) for one in many)
    return rearrange([infer_actions(clip, model)[-steps:] for clip in clips], "(b a) k -> b a k", a=branches)
