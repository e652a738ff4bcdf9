"""Baselines of AutoExplore: prediction error of features (paper, table 6) and random network distillation.

Their predictors are trained by `update` on what the agent sees, so that familiar observations are rewarded less and
less. Scoring alone changes nothing. Shapes: N windows, w frames per window, s side of a frame in pixels, d width of a
feature vector.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genie_gym.errors import ConfigError
from genie_gym.rewards.base import Score
from genie_gym.rewards.networks import Autoencoder, ForwardModel, ObservationNormalizer, make_encoder
from genie_gym.utils.device import find_device

__all__ = ["FEATURES", "FeaturePredictionError", "RandomNetworkDistillation"]

FEATURES = ("random", "vae")


class FeaturePredictionError(nn.Module):
    """The error of a forward model that predicts the features of the next frame (Burda et al. 2018).

    The reward is the squared error, averaged over the features. These come from a fixed random network, or from a
    variational autoencoder that is trained along with the forward model.

    Args:
        features: "random" or "vae".
        size: Side s of a frame in pixels. The networks are those of the papers from 64 on.
        num_actions: Number of discrete actions.
        dim: Width d of a feature vector.
        lr: Learning rate of Adam.
        device: "auto" (CUDA if there is one), "cpu", "cuda" ...
        seed: Random seed of the networks' weights and the autoencoder's noise.

    Raises:
        ConfigError: The features are unknown.
    """

    window, context, learns = 2, 2, True

    def __init__(
        self,
        features: str,
        size: int,
        num_actions: int,
        dim: int = 512,
        lr: float = 1e-4,
        device: str = "auto",
        seed: int = 0,
    ):
        super().__init__()
        if features not in FEATURES:
            raise ConfigError(f"features must be one of {', '.join(FEATURES)}; got {features!r}")
        with _seeded(seed):
            self.normalizer = ObservationNormalizer(size)
            self.features: nn.Module = make_encoder(size, dim) if features == "random" else Autoencoder(size, dim)
            self.forward_model = ForwardModel(dim, num_actions)
        self._noise = torch.Generator().manual_seed(seed)
        self.to(find_device(device))
        trained = [self.forward_model] + ([self.features] if features == "vae" else [])
        self._optimizer = _adam(trained, lr)

    @torch.inference_mode()
    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Return the mean squared errors for frames uint8 (N, 2, s, s, 3) and actions int64 (N, 1)."""
        return Score(self._errors(*self._encoded(frames), actions).cpu())

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """Take one gradient step on frames uint8 (N, 2, s, s, 3) and actions int64 (N, 1), and return the losses."""
        self.normalizer.update(frames[:, -1].to(self.normalizer.mean.device))
        with torch.no_grad():
            before, after = self._encoded(frames)
        losses = {"forward": self._errors(before, after, actions).mean()}
        if isinstance(self.features, Autoencoder):
            losses["autoencoder"] = self._autoencoder_loss(self.features, frames[:, -1])
        return _descend(self._optimizer, losses)

    def _encoded(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, d) of the frames before and after the action."""
        frames = frames.to(self.normalizer.mean.device)
        return self.features(self.normalizer(frames[:, 0])), self.features(self.normalizer(frames[:, 1]))

    def _errors(self, before: Tensor, after: Tensor, actions: Tensor) -> Tensor:
        predicted = self.forward_model(before, actions[:, -1].to(before.device))
        return (predicted - after).square().mean(-1)

    def _autoencoder_loss(self, autoencoder: Autoencoder, frames: Tensor) -> Tensor:
        device = self.normalizer.mean.device
        noise = torch.randn(len(frames), autoencoder.dim, generator=self._noise).to(device)
        return autoencoder.loss(self.normalizer(frames.to(device)), noise)


class RandomNetworkDistillation(nn.Module):
    """The error of a network that predicts the output of a fixed random network on the new frame (Burda et al. 2019).

    Args:
        size: Side s of a frame in pixels.
        dim: Number of outputs d of both networks.
        lr: Learning rate of Adam.
        device: "auto" (CUDA if there is one), "cpu", "cuda" ...
        seed: Random seed of the networks' weights.
    """

    window, context, learns = 1, 1, True

    def __init__(self, size: int, dim: int = 512, lr: float = 1e-4, device: str = "auto", seed: int = 0):
        super().__init__()
        with _seeded(seed):
            self.normalizer = ObservationNormalizer(size)
            self.target = make_encoder(size, dim).requires_grad_(False)
            # The predictor is deeper than its target, so that it is able to imitate it.
            head = [nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)]
            self.predictor = nn.Sequential(make_encoder(size, dim), *head)
        self.to(find_device(device))
        self._optimizer = _adam([self.predictor], lr)

    @torch.inference_mode()
    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Return the mean squared errors for frames uint8 (N, 1, s, s, 3)."""
        return Score(self._errors(frames).cpu())

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """Take one gradient step on frames uint8 (N, 1, s, s, 3), and return the losses."""
        self.normalizer.update(frames[:, -1].to(self.normalizer.mean.device))
        return _descend(self._optimizer, {"distillation": self._errors(frames).mean()})

    def _errors(self, frames: Tensor) -> Tensor:
        observations = self.normalizer(frames[:, -1].to(self.normalizer.mean.device))
        return (self.predictor(observations) - self.target(observations)).square().mean(-1)


def _adam(modules: Iterable[nn.Module], lr: float) -> torch.optim.Adam:
    return torch.optim.Adam([parameter for module in modules for parameter in module.parameters()], lr)


def _descend(optimizer: torch.optim.Optimizer, losses: dict[str, Tensor]) -> dict[str, float]:
    """Take one gradient step on the sum of the losses."""
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    return {name: float(loss.detach()) for name, loss in losses.items()}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the context, and restore the state of its random number generator afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
