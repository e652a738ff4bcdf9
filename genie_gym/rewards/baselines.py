"""The rewards AutoExplore is compared with: prediction error of features (paper, table 6) and network distillation.

Their predictors learn from what the agent does, in `update`; what was seen often pays less and less. Scoring alone
changes nothing. Shapes: N windows, w frames a window, s side of a frame in pixels, d width of a feature vector.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genie_gym.devices import find_device
from genie_gym.errors import ConfigError
from genie_gym.rewards.networks import Autoencoder, ForwardModel, Pictures, encoder
from genie_gym.rewards.score import Score

__all__ = ["FEATURES", "FeatureError", "RandomNetworkDistillation"]

FEATURES = ("random", "vae")


class FeatureError(nn.Module):
    """How wrong a forward model is about the features of the next frame (Burda et al. 2018).

    The reward is the squared error, averaged over the features: of a network that stays random, or of a variational
    autoencoder that learns along.

    Args:
        features: "random" or "vae".
        size: s, 64 or more gives the papers' networks.
        actions: number of discrete actions.
        dim: d.
        lr: of Adam.
        device: "auto" (CUDA if there is one), "cpu", "cuda" ...
        seed: of the networks' weights and the autoencoder's noise.

    Raises:
        ConfigError: unknown features.
    """

    window, context, learns = 2, 2, True

    def __init__(
        self,
        features: str,
        size: int,
        actions: int,
        dim: int = 512,
        lr: float = 1e-4,
        device: str = "auto",
        seed: int = 0,
    ):
        super().__init__()
        if features not in FEATURES:
            raise ConfigError(f"features must be one of {', '.join(FEATURES)}; got {features!r}")
        with _seeded(seed):
            self.pictures = Pictures(size)
            self.features: nn.Module = encoder(size, dim) if features == "random" else Autoencoder(size, dim)
            self.forward_model = ForwardModel(dim, actions)
        self._noise = torch.Generator().manual_seed(seed)
        self.to(find_device(device))
        learned = [self.forward_model] + ([self.features] if features == "vae" else [])
        self._optimizer = _adam(learned, lr)

    @torch.inference_mode()
    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Squared error, averaged over features: frames uint8 (N, 2, s, s, 3), actions int64 (N, 1)."""
        return Score(self._errors(*self._encoded(frames), actions).cpu())

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """One gradient step on N windows."""
        self.pictures.update(frames[:, -1].to(self.pictures.mean.device))
        with torch.no_grad():
            before, after = self._encoded(frames)
        losses = {"forward": self._errors(before, after, actions).mean()}
        if isinstance(self.features, Autoencoder):
            losses["autoencoder"] = self._autoencoder_loss(self.features, frames[:, -1])
        return _descend(self._optimizer, losses)

    def _encoded(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, d) of the frames before and after the action."""
        frames = frames.to(self.pictures.mean.device)
        return self.features(self.pictures(frames[:, 0])), self.features(self.pictures(frames[:, 1]))

    def _errors(self, before: Tensor, after: Tensor, actions: Tensor) -> Tensor:
        predicted = self.forward_model(before, actions[:, -1].to(before.device))
        return (predicted - after).square().mean(-1)

    def _autoencoder_loss(self, autoencoder: Autoencoder, frames: Tensor) -> Tensor:
        device = self.pictures.mean.device
        noise = torch.randn(len(frames), autoencoder.dim, generator=self._noise).to(device)
        return autoencoder.loss(self.pictures(frames.to(device)), noise)


class RandomNetworkDistillation(nn.Module):
    """How badly a network imitates a random one on the new frame (Burda et al. 2019).

    Args:
        size: s.
        dim: d, outputs of both networks.
        lr: of Adam.
        device: "auto" (CUDA if there is one), "cpu", "cuda" ...
        seed: of the networks' weights.
    """

    window, context, learns = 1, 1, True

    def __init__(self, size: int, dim: int = 512, lr: float = 1e-4, device: str = "auto", seed: int = 0):
        super().__init__()
        with _seeded(seed):
            self.pictures = Pictures(size)
            self.target = encoder(size, dim).requires_grad_(False)
            # Deeper than its target, so that it can imitate it.
            head = [nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)]
            self.predictor = nn.Sequential(encoder(size, dim), *head)
        self.to(find_device(device))
        self._optimizer = _adam([self.predictor], lr)

    @torch.inference_mode()
    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Squared error, averaged over outputs: frames uint8 (N, 1, s, s, 3)."""
        return Score(self._errors(frames).cpu())

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """One gradient step on N windows."""
        self.pictures.update(frames[:, -1].to(self.pictures.mean.device))
        return _descend(self._optimizer, {"distillation": self._errors(frames).mean()})

    def _errors(self, frames: Tensor) -> Tensor:
        pictures = self.pictures(frames[:, -1].to(self.pictures.mean.device))
        return (self.predictor(pictures) - self.target(pictures)).square().mean(-1)


def _adam(modules: Iterable[nn.Module], lr: float) -> torch.optim.Adam:
    return torch.optim.Adam([parameter for module in modules for parameter in module.parameters()], lr)


def _descend(optimizer: torch.optim.Optimizer, losses: dict[str, Tensor]) -> dict[str, float]:
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    return {name: float(loss.detach()) for name, loss in losses.items()}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Weights drawn inside follow from the seed, and the program's own random numbers from what they did before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
