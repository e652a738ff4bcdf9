"""Adapting a world model to a game: whose actions it has, and which weights of its dynamics may change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from genie_gym.data import EpisodeDataset, split
from genie_gym.models.architectures import AnyDynamics
from genie_gym.models.conv.layers import Conv
from genie_gym.training.loop.trainer import training_device
from genie_gym.world_model import Checkpoint, WorldModel
from genie_gym.world_model.actions.latent_relabel import paired_actions, relabel_with_latent_actions

__all__ = ["choose_weights", "for_game", "merge_low_rank", "with_recorded_actions"]


def for_game(checkpoint: Checkpoint, game: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint as a model of a game, its own or another one, whose actions the game's description lists.

    Actions of the same names keep their vectors, others begin as the mean of the nearest names, see
    `Checkpoint.of_game`. A model of one game whose actions have the same buttons stays as it is.
    """
    before = checkpoint.game
    if checkpoint.games or _meanings(before) != _meanings(game):
        return checkpoint.of_game(game)
    if before["name"] == game["name"]:
        return checkpoint
    nothing = {name: values[:0] for name, values in checkpoint.initial_contexts.items()}
    return replace(checkpoint, game=game, initial_contexts=nothing, action_map=None, upscaler=None)


def _meanings(game: dict[str, Any]) -> list[str]:
    return [action["meaning"] for action in game["actions"]]


def with_recorded_actions(checkpoint: Checkpoint, datasets: Sequence[EpisodeDataset]) -> Checkpoint:
    """Return a model of latent actions as one of the recorded ones.

    Each begins at the mean of the latent actions that are inferred where it was taken (AdaWorld, Gao et al. 2025); one
    that was never taken, at that of all steps.

    Args:
        checkpoint: A model of latent actions.
        datasets: Episodes of one game, of which those to train on count.
    """
    lam = checkpoint.model.latent_actions
    assert lam is not None
    lam = lam.to(training_device())
    game = datasets[-1].header["game"]
    counts = np.zeros((len(game["actions"]), lam.config.codes))
    for dataset in datasets:
        latent, recorded = paired_actions(relabel_with_latent_actions(dataset, lam), dataset, split(dataset)[0])
        np.add.at(counts, (recorded, latent), 1)
    counts = np.where(counts.sum(1, keepdims=True) > 0, counts, counts.sum(0))
    mixture = torch.from_numpy(counts / counts.sum(1, keepdims=True)).float()
    model = WorldModel(checkpoint.model.tokenizer, checkpoint.model.dynamics.with_actions(mixture))
    nothing = {name: values[:0] for name, values in checkpoint.initial_contexts.items() if name != "games"}
    upscaler = checkpoint.upscaler if checkpoint.game["name"] == game["name"] else None
    return replace(
        checkpoint, model=model, game=game, games=(), initial_contexts=nothing, action_map=None, upscaler=upscaler
    )


class LowRank(nn.Module):
    """A weight with a change of low rank added to it, at first none (LoRA, Hu et al. 2022).

    Args:
        weight: The weight, float (d, e).
        rank: Rank of the change.
        generator: Source of randomness.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator):
        super().__init__()
        d, e = weight.shape
        self.down = nn.Parameter((torch.randn(rank, e, generator=generator) * e**-0.5).to(weight.device))
        self.up = nn.Parameter(torch.zeros(d, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight."""
        return weight + self.up @ self.down


def choose_weights(dynamics: AnyDynamics, which: str, rank: int, seed: int) -> None:
    """Let training change some of the dynamics' weights.

    Args:
        dynamics: The dynamics; with "lora" its matrices get changes of low rank, which `merge_low_rank` merges.
        which: "all"; "actions", those that read actions; or "lora", these and a change of low rank of every matrix.
        rank: Rank of these changes.
        seed: Random seed of these changes.
    """
    dynamics.requires_grad_(which == "all")
    chosen = dynamics.action_weights()
    for name, parameter in dynamics.named_parameters():
        if name in chosen:
            parameter.requires_grad_(True)
    if which == "lora":
        generator = torch.Generator().manual_seed(seed)
        for name, layer in _matrices(dynamics):
            if f"{name}.weight" not in chosen and min(layer.weight.shape) > rank:
                parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank, generator))


def merge_low_rank(dynamics: AnyDynamics) -> None:
    """Make changes of low rank part of the weights."""
    for _, layer in _matrices(dynamics):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _matrices(dynamics: AnyDynamics) -> list[tuple[str, Any]]:
    return [(name, layer) for name, layer in dynamics.named_modules() if isinstance(layer, nn.Linear | Conv)]
