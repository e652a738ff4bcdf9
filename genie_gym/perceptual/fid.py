"""FID (Heusel et al. 2017): the Frechet distance between the Inception features of two sets of pictures.

Only with that one network may a Frechet distance be called FID; `metrics.frechet_distance` on other features may not.
torchmetrics takes the network from torch-fidelity, which needs torchvision, which genie_gym does without. The same
network, of 2015, is published as a program that torch runs by itself, with StyleGAN2-ADA (Karras et al. 2020).
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
from genie_gym.metrics import Frames, frechet_distance
from genie_gym.perceptual.weights import Weights

__all__ = ["FID", "INCEPTION"]

INCEPTION = Weights(
    "FID",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)
TOGETHER = 32  # pictures at once: the network looks at them at 299 x 299 pixels


class FID:
    """The distance, by a network.

    Args:
        network: called with uint8 (n, 3, h, w), any size, and return_features=True, gives float (n, features).
        device: where it is.

    `FID.from_file()` reads the published network, see INCEPTION.
    """

    def __init__(self, network: Callable[..., Tensor], device: str | torch.device = "cpu"):
        self._network, self.device = network, torch.device(device)

    @classmethod
    def from_file(cls, path: str | Path | None = None, device: str | torch.device = "cpu") -> "FID":
        """Reads the published network; by default where `INCEPTION.place()` says.

        Raises:
            CheckpointError: the file is missing or not the published one; the message says how to fetch it.
        """
        content = INCEPTION.read(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather have new files in another format
            return cls(torch.jit.load(io.BytesIO(content), map_location=device).eval(), device)

    def distance(self, predicted: Frames, real: Frames) -> float:
        """Of two sets of pictures, uint8 (..., h, w, 3), not necessarily as many; 0 if their features agree.

        It falls as pictures are added, up to tens of thousands: compare only figures from equally many.

        Raises:
            ConfigError: fewer than two pictures in a set.
        """
        sets = [x.reshape(-1, *x.shape[-3:]) for x in (predicted, real)]
        if min(map(len, sets)) < 2:
            raise ConfigError(f"FID compares sets of two pictures or more; got {len(sets[0])} and {len(sets[1])}")
        return frechet_distance(*map(self.features, sets))

    @torch.inference_mode()
    def features(self, frames: Frames) -> np.ndarray:
        """Pictures uint8 (n, h, w, 3) to float64 (n, features)."""
        parts = torch.from_numpy(frames).split(TOGETHER)
        pictures = (rearrange(part.to(self.device), "n h w c -> n c h w") for part in parts)
        return torch.cat([self._network(x, return_features=True) for x in pictures]).double().cpu().numpy()
