"""LPIPS (Zhang et al. 2018), version 0.1 with AlexNet: the perceptual distance of two images.

torchmetrics has the metric and its learned weights, but takes AlexNet from torchvision, which genie_gym does without:
its wheels break beside torch's CPU build. So this module defines AlexNet and reads the learned weights of torchmetrics.
"""

import io
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from genie_gym.metrics.image import Frames
from genie_gym.metrics.pretrained import Weights
from genie_gym.utils.progress import tracked

__all__ = ["ALEXNET", "LPIPS"]

ALEXNET = Weights(
    "LPIPS",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
)
MEAN, STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of ImageNet's pixels, in [-1, 1]
BATCH_SIZE = 256  # images per forward pass


def alexnet() -> nn.Sequential:
    """Return the convolutions of AlexNet (Krizhevsky 2014), numbered as in torchvision's "features"."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


class LPIPS:
    """The learned perceptual distance; lower is more similar, 0 is equal.

    `LPIPS.from_file()` loads the weights that PyTorch publishes, see `ALEXNET`.

    Args:
        weights: Weights of AlexNet under torchvision's names ("features.0.weight" ...).
        device: Device to compute on.
    """

    def __init__(self, weights: dict[str, Tensor], device: str | torch.device = "cpu"):
        self.device, prefix = torch.device(device), "features."
        self._layers = alexnet().eval().requires_grad_(False)
        self._layers.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
        self._layers.to(device)
        learned = resources.files("torchmetrics.functional.image") / "lpips_models" / "alex.pth"
        state = torch.load(io.BytesIO(learned.read_bytes()), "cpu", weights_only=True)  # saved on a GPU
        self._scales = [state[f"lin{i}.model.1.weight"].to(device) for i in range(5)]  # (1, channels, 1, 1) each
        self._mean, self._std = (torch.tensor(x, device=device).view(3, 1, 1) for x in (MEAN, STD))

    @classmethod
    def from_file(cls, path: str | Path | None = None, device: str | torch.device = "cpu") -> "LPIPS":
        """Load the published weights.

        Args:
            path: The file; by default `ALEXNET.path()`.
            device: Device to compute on.

        Raises:
            CheckpointError: The file is missing or not the published one; the message says how to fetch it.
        """
        return cls(torch.load(io.BytesIO(ALEXNET.read(path)), "cpu", weights_only=True), device)

    @torch.inference_mode()
    def distance(self, predicted: Frames, real: Frames) -> np.ndarray:
        """Return the distance of each pair of images.

        Args:
            predicted: uint8 (..., h, w, 3), h and w at least 32.
            real: uint8 of the same shape.

        Returns:
            float64 (...).
        """
        parts = [torch.from_numpy(x.reshape(-1, *x.shape[-3:])).split(BATCH_SIZE) for x in (predicted, real)]
        pairs = tracked(zip(*parts, strict=True), "LPIPS", len(parts[0]), unit="batches")
        distances = torch.cat([self._distances(*pair) for pair in pairs])
        return distances.double().cpu().numpy().reshape(predicted.shape[:-3])

    def _distances(self, predicted: Tensor, real: Tensor) -> Tensor:
        total = torch.zeros(len(predicted), device=self.device)
        for scale, a, b in zip(self._scales, self._features(predicted), self._features(real), strict=True):
            total += (scale * (a - b).square()).sum(1).mean((1, 2))
        return total

    def _features(self, frames: Tensor) -> list[Tensor]:
        """Return the output of each of the five ReLUs, normalised to unit length at every position."""
        x = rearrange(frames.to(self.device), "n h w c -> n c h w").float() / 127.5 - 1
        x, features = (x - self._mean) / self._std, []
        for layer in self._layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                features.append(x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt())
        return features
