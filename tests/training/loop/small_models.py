"""Models and batches that train in milliseconds."""

import numpy as np
import torch
from torch import nn

from genie_gym.models.conv.layers import Conv
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import batch_seed

CONFIG = TrainerConfig(
    steps=20, batch_size=2, warmup=5, precision="float32", log_every=5, validate_every=8, ema_decay=0.8, prefetch=0
)


SIZES = TokenizerConfig(size=16, dim=16, heads=2, encoder_blocks=1, decoder_blocks=1, codes=64, code_dim=4, warmup=4)


class Line(nn.Module):
    """Least squares: the smallest thing that can be fitted."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        loss = (self.layer(batch["x"]) - batch["y"]).square().mean()
        return loss, {"loss_again": loss.detach()}


class Noisy(nn.Module):
    """A tokenizer (random revival of codes) with dropout before it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.tokenizer = nn.Dropout(0.2), Tokenizer(SIZES)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        return self.tokenizer({"frames": self.dropout(batch["frames"])})


class Picture(nn.Module):
    """A convolution and a linear layer, as large as Muon takes."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.layer = Conv(32, 32), nn.Linear(32, 32)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        return (self.layer(self.kernel(batch["x"]).mean((2, 3))) - 1).square().mean(), {}


def pictures(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
    return {"x": torch.from_numpy(rng.normal(size=(size, 32, 5, 5)).astype(np.float32))}


def line_batch(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
    x = torch.from_numpy(rng.normal(size=(size, 3)).astype(np.float32))
    return {"x": x, "y": x[:, :2] * 2 + 1}


def clips(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
    return {"frames": torch.from_numpy(rng.random((size, 3, 3, 16, 16), np.float32))}


class Joined:
    """A sampler of batches that hold what several smaller ones of a step do, as accumulated or of several processes."""

    def __init__(self, sample, parts, step: int = 0):
        self.sample, self.parts, self.step = sample, parts, step

    def __call__(self, rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        seeds = [batch_seed(CONFIG.seed, self.step, number) for number in range(self.parts(self.step))]
        drawn = [self.sample(np.random.default_rng(seed), size) for seed in seeds]
        self.step += 1
        return {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}


def nothing(model: nn.Module) -> dict:
    return {}


def make(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return kind()
