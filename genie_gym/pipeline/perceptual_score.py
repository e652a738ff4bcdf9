"""LPIPS and FID of an evaluation, for those who fetched the networks' weights."""

from typing import Any

import torch

from genie_gym.metrics import Frames
from genie_gym.perceptual import FID, LPIPS

__all__ = ["PerceptualScore"]


class PerceptualScore:
    """Both measures; loading them reads files of 244 and 96 MB.

    Raises:
        CheckpointError: a network's weights are missing; the message says how to fetch them.
    """

    def __init__(self, device: str | torch.device = "cpu"):
        self._lpips, self._fid = LPIPS.from_file(device=device), FID.from_file(device=device)

    def __call__(self, shown: Frames, real: Frames) -> dict[str, Any]:
        """Of frames uint8 (b, h, s, s, 3) twice: "lpips" by step, mean over clips; "fid" over all of them."""
        return {"lpips": list(self._lpips.distance(shown, real).mean(0)), "fid": self._fid.distance(shown, real)}
