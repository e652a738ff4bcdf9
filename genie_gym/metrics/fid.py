"""FID (Heusel et al. 2017): the Frechet distance between the Inception features of two sets of images.

A Frechet distance on any other features is not FID. torchmetrics takes the network from torch-fidelity, which needs
torchvision, which genie_gym does without. StyleGAN2-ADA (Karras et al. 2020) publishes the same network of 2015 as a
TorchScript program.
"""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from genie_gym.errors import ConfigError
from genie_gym.metrics.image import Frames, frechet_distance
from genie_gym.metrics.pretrained import Weights
from genie_gym.utils.progress import tracked

__all__ = ["FID", "INCEPTION"]

INCEPTION = Weights(
    "FID",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)
BATCH_SIZE = 32  # images per forward pass: the network resizes them to 299 x 299 pixels


class FID:
    """The Frechet inception distance.

    `FID.from_file()` loads the published network, see `INCEPTION`.

    Args:
        network: Called with uint8 (n, 3, h, w) of any size and return_features=True, returns float (n, features).
        device: Device of the network.
    """

    def __init__(self, network: Callable[..., Tensor], device: str | torch.device = "cpu"):
        self._network, self.device = network, torch.device(device)

    @classmethod
    def from_file(cls, path: str | Path | None = None, device: str | torch.device = "cpu") -> "FID":
        """Load the published network.

        Args:
            path: The file; by default `INCEPTION.path()`.
            device: Device of the network.

        Raises:
            CheckpointError: The file is missing or not the published one; the message says how to fetch it.
        """
        content = INCEPTION.read(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated
            return cls(torch.jit.load(io.BytesIO(content), map_location=device).eval(), device)

    def distance(self, predicted: Frames, real: Frames) -> float:
        """Return the distance between two sets of images; 0 if their features have the same mean and covariance.

        The distance falls as images are added, up to tens of thousands: compare only values from equally many.

        Args:
            predicted: uint8 (..., h, w, 3).
            real: uint8 (..., h, w, 3), not necessarily as many.

        Raises:
            ConfigError: A set has fewer than two images.
        """
        sets = [x.reshape(-1, *x.shape[-3:]) for x in (predicted, real)]
        if min(map(len, sets)) < 2:
            raise ConfigError(f"FID compares sets of two images or more; got {len(sets[0])} and {len(sets[1])}")
        return frechet_distance(*map(self.features, sets))

    @torch.inference_mode()
    def features(self, frames: Frames) -> np.ndarray:
        """Return the network's features of images uint8 (n, h, w, 3): float64 (n, features)."""
        parts = torch.from_numpy(frames).split(BATCH_SIZE)
        images = (rearrange(part.to(self.device), "n h w c -> n c h w") for part in parts)
        batches = tracked(images, "FID", unit="batches")
        return torch.cat([self._network(x, return_features=True) for x in batches]).double().cpu().numpy()
