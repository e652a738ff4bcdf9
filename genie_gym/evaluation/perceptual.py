"""LPIPS and FID of an evaluation, for users who fetched the networks' weights."""

import torch

from genie_gym.evaluation.results import PerceptualMetrics
from genie_gym.metrics.fid import FID
from genie_gym.metrics.image import Frames
from genie_gym.metrics.lpips import LPIPS

__all__ = ["PerceptualScore"]


class PerceptualScore:
    """LPIPS and FID; loading them reads files of 244 and 96 MB.

    Args:
        device: Device of both networks.

    Raises:
        CheckpointError: A network's weights are missing; the message says how to fetch them.
    """

    def __init__(self, device: str | torch.device = "cpu"):
        self._lpips, self._fid = LPIPS.from_file(device=device), FID.from_file(device=device)

    def __call__(self, shown: Frames, real: Frames) -> PerceptualMetrics:
        """Compare frames uint8 (b, h, s, s, 3) with real ones of the same shape."""
        return PerceptualMetrics(list(self._lpips.distance(shown, real).mean(0)), self._fid.distance(shown, real))
