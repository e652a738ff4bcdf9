"""Small networks of the baseline rewards, with the layer sizes of their papers.

Shapes: N frames, s side of a frame in pixels, d width of a feature vector.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MIN_SIZE", "Autoencoder", "ForwardModel", "ObservationNormalizer", "make_encoder"]

MIN_SIZE = 36  # side of the smallest frame that the encoder's convolutions reduce to at least one pixel


class ObservationNormalizer(nn.Module):
    """Normalise each pixel by its running mean and standard deviation, clipped to [-5, 5].

    Random networks do not adapt to the scale of their input, so the scale must not differ between games (Burda et al.
    2019, section 2.4).

    Args:
        size: Side s of a frame in pixels.
    """

    mean: Tensor
    mean_square: Tensor
    count: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.full((3, size, size), 127.5))
        self.register_buffer("mean_square", torch.full((3, size, size), 127.5**2 + 64.0**2))
        self.register_buffer("count", torch.tensor(1.0))  # the initial guess weighs as much as one frame

    def forward(self, frames: Tensor) -> Tensor:
        """Return normalised frames, float (N, 3, s, s), of frames uint8 (N, s, s, 3)."""
        deviation = (self.mean_square - self.mean**2).clamp(min=1.0).sqrt()  # less than one intensity level is noise
        return ((frames.movedim(-1, 1).float() - self.mean) / deviation).clamp(-5, 5)

    @torch.no_grad()
    def update(self, frames: Tensor) -> None:
        """Update the statistics with frames uint8 (N, s, s, 3)."""
        new = frames.movedim(-1, 1).float()
        self.count += len(new)
        self.mean += (new - self.mean).sum(0) / self.count
        self.mean_square += (new**2 - self.mean_square).sum(0) / self.count


def make_encoder(size: int, dim: int) -> nn.Sequential:
    """Return three convolutions and a linear layer, float (N, 3, s, s) to (N, d) (Burda et al. 2018, section 2.3)."""
    layers = [nn.Conv2d(3, 32, 8, 4), nn.LeakyReLU(), nn.Conv2d(32, 64, 4, 2), nn.LeakyReLU()]
    layers += [nn.Conv2d(64, 64, 3, 1), nn.LeakyReLU(), nn.Flatten()]
    with torch.no_grad():
        width = nn.Sequential(*layers)(torch.zeros(1, 3, size, size)).shape[1]
    network = nn.Sequential(*layers, nn.Linear(width, dim))
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(layer.weight, 2**0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # all these layers have a bias
    return network


class ForwardModel(nn.Module):
    """Predict the features of the next frame from features and action. Every layer receives the action.

    Args:
        dim: Width d of a feature vector.
        num_actions: Number of actions.
        width: Width of the hidden layers.
    """

    def __init__(self, dim: int, num_actions: int, width: int = 512):
        super().__init__()
        self.num_actions = num_actions
        sizes = [dim, width, width, dim]
        self.layers = nn.ModuleList(nn.Linear(inner + num_actions, outer) for inner, outer in pairwise(sizes))

    def forward(self, features: Tensor, actions: Tensor) -> Tensor:
        """Return features float (N, d), of features float (N, d) and actions int64 (N,)."""
        one_hot = F.one_hot(actions, self.num_actions).to(features.dtype)
        x = features
        for i, layer in enumerate(self.layers):
            x = layer(torch.cat([x, one_hot], -1))
            if i + 1 < len(self.layers):
                x = F.leaky_relu(x)
        return features + x


class Autoencoder(nn.Module):
    """A variational autoencoder of normalised frames (Kingma and Welling 2014). Its features are the latent means.

    Args:
        size: Side s of a frame in pixels.
        dim: Width d of a feature vector.
    """

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.dim, self.size = dim, size
        self.encoder = make_encoder(size, 2 * dim)
        self.start = nn.Linear(dim, 64 * 4 * 4)
        self.decoder = nn.Sequential(
            nn.LeakyReLU(),
            nn.ConvTranspose2d(64, 64, 4, 2, 1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(64, 32, 4, 2, 1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(32, 3, 4, 4),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return features (N, d) of normalised frames float (N, 3, s, s)."""
        return self.encoder(frames)[:, : self.dim]

    def loss(self, frames: Tensor, noise: Tensor) -> Tensor:
        """Return the negative evidence lower bound per pixel.

        Args:
            frames: Normalised frames, float (N, 3, s, s).
            noise: Standard normal (N, d).

        Returns:
            A scalar.
        """
        mean, log_variance = self.encoder(frames).chunk(2, -1)
        log_variance = log_variance.clamp(-10, 10)
        sample = mean + noise * (log_variance / 2).exp()
        decoded = self.decoder(self.start(sample).unflatten(1, (64, 4, 4)))
        decoded = F.interpolate(decoded, frames.shape[-2:])  # no change for frames of 64 x 64
        error = F.mse_loss(decoded, frames, reduction="none").sum((1, 2, 3)) / 2
        divergence = (mean**2 + log_variance.exp() - log_variance - 1).sum(1) / 2
        return (error + divergence).mean() / frames[0].numel()
