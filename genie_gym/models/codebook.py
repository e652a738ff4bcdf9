"""The codebook of the tokenizer: nearest code by cosine similarity, moved by averages, kept alive."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.precision import exactly

__all__ = ["Codebook", "warming_up"]


def warming_up(batch: dict[str, Tensor], steps: Tensor, warmup: int, share: float) -> bool:
    """Whether a fit still trains without quantisation: for `warmup` steps, but for no more than `share` of its way
    (`batch["progress"]`, float (), 0 if left out): a slow machine that fits by the clock must get to its codebook."""
    return bool(steps < warmup) and float(batch.get("progress", 0.0)) < share


class Codebook(nn.Module):
    """Vector quantisation on the unit sphere (van den Oord et al. 2017; cosine codes as in Yu et al. 2022).

    Codes follow an exponential average of the encodings that chose them. Codes that nobody chooses are replaced by
    encodings of the current batch, a few a step: replacing many at once moves the targets faster than the decoder
    can follow.

    Attributes:
        codes: float (size, dim), unit rows.
        usage: float (size,), running count of encodings a step that chose each code.
    """

    codes: Tensor
    usage: Tensor
    started: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.99, revive: int = 8, idle: float = 0.05):
        super().__init__()
        self.decay, self.revive, self.idle = decay, revive, idle
        self.register_buffer("codes", F.normalize(torch.randn(size, dim), dim=-1))
        self.register_buffer("usage", torch.ones(size))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, x: Tensor, warm: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Quantises encodings.

        Args:
            x: float (..., dim), any length.
            warm: leaves them as they are, of length 1, and the codes at encodings of this batch, from which they then
                start; the commitment is 0. Tokens are those of the nearest codes all the same.

        Returns:
            codes (..., dim) with straight-through gradients, tokens int64 (...), commitment loss (scalar).
        """
        x = F.normalize(x.float(), dim=-1)
        if self.training and (warm or not self.started):
            self._start(x)
        with exactly(x.device):  # in bfloat16 a code as near as one in 256 would be a tie
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
        """Starts the codes at encodings of the first batch."""
        flat = x.flatten(0, -2)
        self.codes.copy_(flat[torch.randint(len(flat), (len(self.codes),), device=flat.device)])
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, x: Tensor, tokens: Tensor) -> None:
        """Moves each code towards the mean of its encodings, then revives a few idle ones."""
        chosen = torch.bincount(tokens, minlength=len(self.codes)).to(x.dtype)
        sums = torch.zeros_like(self.codes).index_add_(0, tokens, x)
        means = F.normalize(sums / chosen.clamp(min=1)[:, None], dim=-1)
        rate = torch.where(chosen > 0, 1 - self.decay, 0.0)[:, None]
        self.codes.copy_(F.normalize(torch.lerp(self.codes, means, rate), dim=-1))
        self.usage.lerp_(chosen, 1 - self.decay)
        self._revive(x)

    def _revive(self, x: Tensor) -> None:
        """Puts encodings in the place of a few idle codes drawn at random; shapes are the same however many idle."""
        lot = torch.rand_like(self.usage).masked_fill(self.usage >= self.idle, -1.0)
        lot, drawn = lot.topk(min(self.revive, len(lot)))
        idle = lot >= 0
        encodings = x[torch.randint(len(x), (len(drawn),), device=x.device)]
        self.codes[drawn] = torch.where(idle[:, None], encodings, self.codes[drawn])
        self.usage[drawn] = torch.where(idle, 1.0, self.usage[drawn])
