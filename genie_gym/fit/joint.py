"""Fitting the latent action model and the dynamics together, as Genie does, rather than one after the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.fit.loop import FitConfig, FitReport, fit, fit_device
from genie_gym.fit.stages import (
    Ordered,
    Windows,
    draw_windows,
    dynamics_figures,
    latent_figures,
    one_step_ahead,
    token_batch,
)
from genie_gym.frames import to_model
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.models.tokenizer import Tokenizer

__all__ = ["fit_jointly"]


def fit_jointly(
    latent_actions: LatentActionModel,
    dynamics: Dynamics,
    tokenizer: Tokenizer,
    train: Windows,
    held_out: Windows,
    config: FitConfig,
    folder: Path,
    lengths: tuple[int, ...],
) -> FitReport:
    """Fits latent action model and dynamics together, on the tokens of a frozen tokenizer; no action is looked at.

    So does Genie, and with it the paper: the tokenizer first, then these two at once, each by its own loss, the
    dynamics being told the codes found so far. As in Genie no gradient goes from the dynamics to the codes; the
    authors' released code has one. One after the other (`fit_latent_actions`, then `fit_dynamics`) the dynamics never
    learns from codes that will yet change.

    Args:
        train, lengths: as for `fit_dynamics`.
    """
    tokenizer.to(fit_device()).eval().requires_grad_(False)
    dynamics.adopt_codebook(tokenizer.codebook.codes)

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        clips, start, stop = draw_windows(train, lengths, rng, batch)
        frames = to_model(torch.from_numpy(clips["frames"][:, start:stop]))
        return token_batch(tokenizer, clips, start, stop, config.precision) | {"frames": frames}

    def validate(average: Any) -> dict[str, Any]:
        found = latent_figures(average.latent_actions, held_out, config)
        coded = _Coded(held_out, average.latent_actions)
        figures = dynamics_figures(average.dynamics, tokenizer, coded, config)
        clip = one_step_ahead(average.dynamics, tokenizer, coded, config)
        return {f"latent_{name}": value for name, value in found.items()} | figures | clip

    return fit(_Joint(latent_actions, dynamics), sample, validate, config, folder, name="latent actions and dynamics")


class _Joint(nn.Module):
    """The latent action model finds codes in the pictures, the dynamics is told them; their losses are added."""

    def __init__(self, latent_actions: LatentActionModel, dynamics: Dynamics):
        super().__init__()
        self.latent_actions, self.dynamics = latent_actions, dynamics

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        found, seen, codes = self.latent_actions.loss_and_codes(batch)
        predicted, told = self.dynamics(batch | {"actions": F.pad(codes, (1, 0), value=-1)})
        return found + predicted, seen | told


class _Coded:
    """Windows whose actions are the codes that a latent action model finds in them."""

    def __init__(self, windows: Ordered, model: LatentActionModel):
        self.windows, self.model, self.length = windows, model, windows.length

    def in_order(self, batch: int) -> Iterator[dict[str, np.ndarray]]:
        for window in self.windows.in_order(batch):
            frames = to_model(torch.from_numpy(window["frames"]).to(self.model.codebook.codes.device))
            yield window | {"actions": self.model.codes(frames).cpu().numpy()}
