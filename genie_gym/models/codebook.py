"""Vector quantisation with codes that follow the encodings by moving averages; unused codes are replaced."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.utils.parallel.processes import from_first_process, summed_over_processes
from genie_gym.utils.precision import full_precision

__all__ = ["Codebook", "EuclideanCodebook", "warming_up"]

AT_ONCE = 256  # encodings, as many as a frame of the preset tiny has


def warming_up(batch: dict[str, Tensor], steps: Tensor, warmup: int, share: float) -> bool:
    """Return whether training still runs without quantisation.

    The warm-up is limited in steps and in time: a slow machine that trains by the clock must get to its codebook.

    Args:
        batch: "progress", float (), is the share of the training that is done; 0 if left out.
        steps: Steps so far, int64 ().
        warmup: Length of the warm-up in steps.
        share: Longest warm-up as a share of the training.
    """
    return bool(steps < warmup) and float(batch.get("progress", 0.0)) < share


class Codebook(nn.Module):
    """Vector quantisation on the unit sphere (van den Oord et al. 2017; cosine codes as in Yu et al. 2022).

    Codes follow an exponential average of the encodings that are nearest to them, those of all processes that train
    together. Unused codes are replaced by
    encodings of the current batch, a few a step: replacing many together moves the targets faster than the decoder can
    follow.

    Args:
        size: Number of codes.
        dim: Width of a code.
        decay: Decay of the moving averages.
        max_revived: Codes replaced in one step at most.
        min_usage: Codes used less often a step are replaced.

    Attributes:
        codes: float (size, dim), unit rows.
        usage: float (size,), moving average of the encodings a step that are nearest to each code.
        started: bool (), whether the codes are at encodings yet.
    """

    codes: Tensor
    usage: Tensor
    started: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.99, max_revived: int = 8, min_usage: float = 0.05):
        super().__init__()
        self.decay, self.max_revived, self.min_usage = decay, max_revived, min_usage
        self.register_buffer("codes", F.normalize(torch.randn(size, dim), dim=-1))
        self.register_buffer("usage", torch.ones(size))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, x: Tensor, warm: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise encodings.

        Args:
            x: Encodings, float (..., dim), of any length.
            warm: Whether to return the encodings themselves, scaled to length 1, and to put the codes at encodings of
                this batch. The commitment loss is then 0; tokens are those of the nearest codes all the same.

        Returns:
            Codes (..., dim) with straight-through gradients, tokens int64 (...), commitment loss (scalar).
        """
        x = F.normalize(x.float(), dim=-1)
        if self.training and (warm or not self.started):
            self._start(x)
        with full_precision(
            x.device
        ):  # bfloat16 cannot tell codes apart whose distances differ by less than one in 256
            tokens = (x @ self.codes.T).argmax(-1)
        if warm:
            self.started.fill_(False)
            return x, tokens, x.new_zeros(())
        codes = self.codes[tokens]
        if self.training:
            self._follow(x.detach().flatten(0, -2), tokens.flatten())
        return x + (codes - x).detach(), tokens, F.mse_loss(x, codes)

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        """Put the codes at encodings of the first batch."""
        flat = x.flatten(0, -2)
        self.codes.copy_(flat[torch.randint(len(flat), (len(self.codes),), device=flat.device)])
        from_first_process(self.codes)
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, x: Tensor, tokens: Tensor) -> None:
        """Move each code towards the mean of its encodings, then replace a few unused ones."""
        counts, sums = _counts_and_sums(self, x, tokens)
        means = F.normalize(sums / counts.clamp(min=1)[:, None], dim=-1)
        rate = torch.where(counts > 0, 1 - self.decay, 0.0)[:, None]
        self.codes.copy_(F.normalize(torch.lerp(self.codes, means, rate), dim=-1))
        self.usage.lerp_(counts, 1 - self.decay)
        _revive(self, x)


class EuclideanCodebook(nn.Module):
    """Vector quantisation by Euclidean distance (van den Oord et al. 2017), started at k-means of real encodings.

    Codes follow an exponential average of the encodings that are nearest to them; a few unused ones a step are replaced
    by encodings of the current batch. After training, codes that say the same are merged.

    Args:
        size: Number of codes, k.
        dim: Width of a code.
        decay: Decay of the moving averages.
        max_revived: Codes replaced in one step at most.
        min_usage: Codes used less often a step are replaced.

    Attributes:
        codes: float (k, dim).
        usage: float (k,), moving average of the encodings a step that are nearest to each code; 0 of codes that were
            merged into others, which are no longer nearest to anything.
    """

    codes: Tensor
    usage: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.99, max_revived: int = 8, min_usage: float = 0.05):
        super().__init__()
        self.decay, self.max_revived, self.min_usage = decay, max_revived, min_usage
        self.register_buffer("codes", torch.randn(size, dim))
        self.register_buffer("usage", torch.ones(size))

    def nearest(self, x: Tensor) -> Tensor:
        """Return the nearest codes, int64 (...), of encodings float (..., dim)."""
        lengths = self.codes.square().sum(-1).masked_fill(self.usage == 0, torch.inf)
        flat = x.float().flatten(0, -2)
        # On a CPU a few at once: products with all codes that its cache holds take half the time or less.
        few = x.device.type == "cpu" and not torch.compiler.is_compiling()
        with full_precision(x.device):
            pieces = flat.split(AT_ONCE if few else max(1, len(flat)))
            found = [torch.addmm(-lengths, one, self.codes.T, alpha=2).max(-1).indices for one in pieces]
        return torch.cat(found).view(x.shape[:-1])

    @torch.no_grad()
    def merge(self, closest: float) -> None:
        """Give up codes that lie closer than `closest` to one that is used more.

        In a plain picture most codes come to lie around a few patches. What predicts codes cannot know which of those
        was meant, and a dream wanders among them.
        """
        close = torch.cdist(self.codes, self.codes) < closest
        kept = torch.zeros_like(close[0])
        for code in self.usage.argsort(descending=True, stable=True):
            kept[code] = ~(close[code] & kept).any()
        self.usage.masked_fill_(~kept, 0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise encodings float (..., dim).

        Returns:
            Codes (..., dim) with straight-through gradients, tokens int64 (...), commitment loss (scalar).
        """
        x = x.float()
        tokens = self.nearest(x)
        codes = self.codes[tokens]
        if self.training:
            self._follow(x.detach().flatten(0, -2), tokens.flatten())
        return x + (codes - x).detach(), tokens, F.mse_loss(x, codes)

    @torch.no_grad()
    def start_at(self, encodings: Tensor, iterations: int = 8) -> None:
        """Put the codes at the centres of k-means (Lloyd's iterations) of encodings, float (n, dim)."""
        size = len(self.codes)
        self.codes.copy_(encodings[torch.randint(len(encodings), (size,))])
        for _ in range(iterations):
            counts, sums = _counts_and_sums(self, encodings, self.nearest(encodings))
            means = sums / counts.clamp(min=1)[:, None]
            fresh = encodings[torch.randint(len(encodings), (size,))]  # for the codes that are nearest to none
            self.codes.copy_(torch.where(counts[:, None] > 0, means, fresh))

    @torch.no_grad()
    def _follow(self, x: Tensor, tokens: Tensor) -> None:
        """Move each code towards the mean of its encodings, then replace a few unused ones."""
        counts, sums = _counts_and_sums(self, x, tokens)
        means = sums / counts.clamp(min=1)[:, None]
        rate = torch.where(counts > 0, 1 - self.decay, 0.0)[:, None]
        self.codes.copy_(torch.lerp(self.codes, means, rate))
        self.usage.lerp_(counts, 1 - self.decay)
        _revive(self, x)


def _counts_and_sums(codebook: Codebook | EuclideanCodebook, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many encodings are nearest to each code (k,) and their sums (k, dim), over all processes."""
    counts = torch.bincount(tokens, minlength=len(codebook.codes)).to(x.dtype)
    sums = torch.zeros_like(codebook.codes).index_add_(0, tokens, x)
    return summed_over_processes(counts), summed_over_processes(sums)


def _revive(codebook: Codebook | EuclideanCodebook, x: Tensor) -> None:
    """Replace a few unused codes, drawn at random, by encodings; shapes do not depend on how many are unused.

    Of several processes the first one draws, so that all keep the same codes.
    """
    draws = torch.rand_like(codebook.usage).masked_fill(codebook.usage >= codebook.min_usage, -1.0)
    draws, drawn = draws.topk(min(codebook.max_revived, len(draws)))
    unused = draws >= 0
    encodings = x[torch.randint(len(x), (len(drawn),), device=x.device)]
    codebook.codes[drawn] = torch.where(unused[:, None], encodings, codebook.codes[drawn])
    codebook.usage[drawn] = torch.where(unused, 1.0, codebook.usage[drawn])
    from_first_process(codebook.codes)
    from_first_process(codebook.usage)
