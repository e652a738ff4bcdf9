"""Small networks of the baselines, with the shapes of their papers.

Shapes: N pictures, s their side in pixels, d width of a feature vector.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SMALLEST", "Autoencoder", "ForwardModel", "Pictures", "encoder"]

SMALLEST = 36  # side of the smallest picture of which the encoder's convolutions leave something


class Pictures(nn.Module):
    """uint8 (N, s, s, 3) to float (N, 3, s, s), each pixel less its mean, over its deviation, within -5 .. 5.

    Random networks do not adapt to the scale of their input, so it must not differ between games (Burda et al. 2019,
    section 2.4).
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.full((3, size, size), 127.5))
        self.register_buffer("square", torch.full((3, size, size), 127.5**2 + 64.0**2))
        self.register_buffer("count", torch.tensor(1.0))  # the first guess weighs as one picture

    def forward(self, frames: Tensor) -> Tensor:
        deviation = (self.square - self.mean**2).clamp(min=1.0).sqrt()  # a level of colour is no more than noise
        return ((frames.movedim(-1, 1).float() - self.mean) / deviation).clamp(-5, 5)

    @torch.no_grad()
    def update(self, frames: Tensor) -> None:
        """Takes in more pictures."""
        new = frames.movedim(-1, 1).float()
        self.count += len(new)
        self.mean += (new - self.mean).sum(0) / self.count
        self.square += (new**2 - self.square).sum(0) / self.count


def encoder(size: int, dim: int) -> nn.Sequential:
    """Three convolutions and a linear layer: float (N, 3, s, s) to (N, d) (Burda et al. 2018, section 2.3)."""
    layers = [nn.Conv2d(3, 32, 8, 4), nn.LeakyReLU(), nn.Conv2d(32, 64, 4, 2), nn.LeakyReLU()]
    layers += [nn.Conv2d(64, 64, 3, 1), nn.LeakyReLU(), nn.Flatten()]
    with torch.no_grad():
        width = nn.Sequential(*layers)(torch.zeros(1, 3, size, size)).shape[1]
    network = nn.Sequential(*layers, nn.Linear(width, dim))
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(layer.weight, 2**0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # there is one
    return network


class ForwardModel(nn.Module):
    """Features and action to the features of the next frame; the action is given to every layer."""

    def __init__(self, dim: int, actions: int, width: int = 512):
        super().__init__()
        self.actions = actions
        sizes = [dim, width, width, dim]
        self.layers = nn.ModuleList(nn.Linear(inner + actions, outer) for inner, outer in pairwise(sizes))

    def forward(self, features: Tensor, actions: Tensor) -> Tensor:
        """float (N, d) and int64 (N,) to float (N, d)."""
        chosen = F.one_hot(actions, self.actions).to(features.dtype)
        x = features
        for i, layer in enumerate(self.layers):
            x = layer(torch.cat([x, chosen], -1))
            if i + 1 < len(self.layers):
                x = F.leaky_relu(x)
        return features + x


class Autoencoder(nn.Module):
    """A variational autoencoder (Kingma and Welling 2014) of normalised pictures; the means are its features."""

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.dim, self.size = dim, size
        self.encoder = encoder(size, 2 * dim)
        self.start = nn.Linear(dim, 64 * 4 * 4)
        self.decoder = nn.Sequential(
            nn.LeakyReLU(),
            nn.ConvTranspose2d(64, 64, 4, 2, 1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(64, 32, 4, 2, 1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(32, 3, 4, 4),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """float (N, 3, s, s) to features (N, d)."""
        return self.encoder(pictures)[:, : self.dim]

    def loss(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence lower bound over pixels, a scalar; noise is standard normal (N, d)."""
        mean, log_variance = self.encoder(pictures).chunk(2, -1)
        log_variance = log_variance.clamp(-10, 10)
        drawn = mean + noise * (log_variance / 2).exp()
        decoded = self.decoder(self.start(drawn).unflatten(1, (64, 4, 4)))
        decoded = F.interpolate(decoded, pictures.shape[-2:])  # 64 x 64 is decoded as it is
        error = F.mse_loss(decoded, pictures, reduction="none").sum((1, 2, 3)) / 2
        divergence = (mean**2 + log_variance.exp() - log_variance - 1).sum(1) / 2
        return (error + divergence).mean() / pictures[0].numel()
