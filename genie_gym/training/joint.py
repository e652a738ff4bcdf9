"""Training of the latent action model and the dynamics together, as Genie does, rather than one after the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.models.architectures import AnyDynamics, AnyTokenizer
from genie_gym.models.lam import LatentActionModel
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport, run_training, training_device
from genie_gym.training.stages import (
    OrderedWindows,
    Windows,
    draw_windows,
    one_step_ahead,
    token_batch,
    validate_dreams,
    validate_dynamics,
    validate_lam,
)
from genie_gym.utils.images import to_model

__all__ = ["train_jointly"]


def train_jointly(
    latent_actions: LatentActionModel,
    dynamics: AnyDynamics,
    tokenizer: AnyTokenizer,
    train: Windows,
    held_out: Windows,
    config: TrainerConfig,
    folder: Path,
    clip_lengths: tuple[int, ...],
) -> StageReport:
    """Train latent action model and dynamics together, on the tokens of a frozen tokenizer; no recorded action is used.

    This is the order of Genie, and of the paper: the tokenizer first, then these two together, each by its own loss,
    the dynamics conditioned on the codes found so far. As in Genie no gradient flows from the dynamics to the codes;
    the authors' released code has one. One after the other (`train_lam`, then `train_dynamics`) the dynamics never
    learns from codes that will still change.

    Args:
        latent_actions: The latent action model, trained in place.
        dynamics: The dynamics, trained in place.
        tokenizer, train, held_out, config, folder, clip_lengths: As for `train_dynamics`. The metrics of the latent
            action model begin with "latent_".
    """
    tokenizer.to(training_device()).eval().requires_grad_(False)
    dynamics.adopt_codebook(tokenizer)  # type: ignore[arg-type]  # presets pair what fits together

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        clips, start, stop = draw_windows(train, clip_lengths, rng, batch)
        frames = to_model(torch.from_numpy(clips["frames"][:, start:stop]))
        return token_batch(tokenizer, clips, start, stop, config.precision) | {"frames": frames}

    def validate(average: Any) -> dict[str, Any]:
        lam = validate_lam(average.latent_actions, held_out, config)
        relabelled = _RelabelledWindows(held_out, average.latent_actions)
        metrics = validate_dynamics(average.dynamics, tokenizer, relabelled, config)
        dreams = validate_dreams(average.dynamics, tokenizer, relabelled, config)
        clip = one_step_ahead(average.dynamics, tokenizer, relabelled, config)
        return {f"latent_{name}": value for name, value in lam.items()} | metrics | dreams | clip

    model = _JointModel(latent_actions, dynamics)
    return run_training(model, sample, validate, config, folder, name="latent actions and dynamics")


class _JointModel(nn.Module):
    """Latent action model and the dynamics that is conditioned on its codes; their losses are added."""

    def __init__(self, latent_actions: LatentActionModel, dynamics: AnyDynamics):
        super().__init__()
        self.latent_actions, self.dynamics = latent_actions, dynamics

    def models(self) -> list[nn.Module]:
        return [self.latent_actions, self.dynamics]

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        lam_loss, lam_metrics, codes = self.latent_actions.loss_and_codes(batch)
        loss, metrics = self.dynamics(batch | {"actions": F.pad(codes, (1, 0), value=-1)})
        return lam_loss + loss, lam_metrics | metrics


class _RelabelledWindows:
    """Windows whose actions are the codes that a latent action model finds in them."""

    def __init__(self, windows: OrderedWindows, model: LatentActionModel):
        self.windows, self.model, self.length = windows, model, windows.length

    def named_parts(self) -> dict[str, OrderedWindows]:
        return {name: _RelabelledWindows(part, self.model) for name, part in self.windows.named_parts().items()}

    def in_order(self, batch: int, at_most: int | None = None) -> Iterator[dict[str, np.ndarray]]:
        for window in self.windows.in_order(batch, at_most):
            frames = to_model(torch.from_numpy(window["frames"]).to(self.model.codebook.codes.device))
            yield window | {"actions": self.model.codes(frames).cpu().numpy()}
