"""A tokenizer that encodes patches one by one and decodes by convolutions; it begins as k-means on patches.

Small transformers learn rich pictures slowly. Here a linear path beside each network is set to the principal components
of real patches, the codes to the centres of k-means on them, and the last layer of each network to zero: before its
first step the tokenizer is vector quantisation of patches, which is better than what a transformer of that size reaches
in minutes. A token depends on the pixels of its patch alone, so that what stands still keeps its tokens.

Shapes: b clips, t frames, n = side * side tokens a frame, c width of a code, k codes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_gym.errors import ConfigError
from genie_gym.models.codebook import EuclideanCodebook
from genie_gym.models.conv.layers import Conv, Residual, patches_of, pixels_of
from genie_gym.models.kv_cache import NoCache
from genie_gym.models.limits import check_patches, check_sizes, check_weights

__all__ = ["ConvTokenizer", "ConvTokenizerConfig"]

CLOSEST = 0.5  # between codes: by the linear path, as it starts, a pixel then changes by 21 squared levels at most
CODE_SCALE = 4.0  # codes of about unit variance rather than of that of pixels in [0, 1]


@dataclass(frozen=True)
class ConvTokenizerConfig:
    """Sizes and loss weights of the convolutional tokenizer.

    Attributes:
        size: Side of a frame in pixels.
        patch: Side of a patch in pixels; a frame has (size / patch)^2 tokens.
        codes: Number of codes.
        code_dim: Width of a code, at most 3 * patch^2.
        encoder_width: Width of the encoder's hidden layer.
        width: Channels of the decoder at the tokens' resolution.
        fine_width: Channels of the decoder at twice that resolution.
        blocks: Residual blocks of the decoder.
        commitment_weight: Weight of the commitment loss.
        moving_weight: Extra weight in the loss of pixels that differ from the clip's median.

    Raises:
        ConfigError: A value is out of range.
    """

    size: int = 64
    patch: int = 4
    codes: int = 1024
    code_dim: int = 48
    encoder_width: int = 96
    width: int = 64
    fine_width: int = 32
    blocks: int = 2
    commitment_weight: float = 1 / 64  # codes are about CODE_SCALE times as far apart as pixels
    moving_weight: float = 1.0

    def __post_init__(self) -> None:
        check_sizes(self)
        check_patches(self.size, self.patch)
        check_weights(self.width, self.blocks, 18)
        if self.patch % 2 or self.code_dim > 3 * self.patch**2:
            got = f"{self.patch} and {self.code_dim}"
            raise ConfigError(f"patch must be even, and code_dim at most 3 * patch^2; got {got}")

    @property
    def side(self) -> int:
        """Tokens along one edge of a frame."""
        return self.size // self.patch

    def build(self) -> "ConvTokenizer":
        """Return a tokenizer of these sizes, not yet trained."""
        return ConvTokenizer(self)


class ConvTokenizer(nn.Module):
    """Encoder, codebook and decoder, each a network beside a linear path."""

    def __init__(self, config: ConvTokenizerConfig):
        super().__init__()
        self.config = c = config
        pixels, half = 3 * c.patch**2, c.patch // 2
        self.encoder = nn.Sequential(
            Conv(pixels, c.encoder_width, 1), nn.SiLU(), Conv(c.encoder_width, c.code_dim, 1, zero=True)
        )
        self.linear_encoder = Conv(pixels, c.code_dim, 1)
        self.codebook = EuclideanCodebook(c.codes, c.code_dim)
        self.decoder = nn.Sequential(
            Conv(c.code_dim, c.width, 1),
            *(Residual(c.width) for _ in range(c.blocks)),
            nn.SiLU(),
            Conv(c.width, 4 * c.fine_width, 1),
            nn.PixelShuffle(2),
            Residual(c.fine_width),
            nn.SiLU(),
            Conv(c.fine_width, 3 * half**2, zero=True),
        )
        self.linear_decoder = Conv(c.code_dim, pixels, 1)

    @torch.no_grad()
    def prepare(self, frames: Tensor) -> None:
        """Set the linear paths to the principal components of patches, and the codes to k-means of them.

        Args:
            frames: Some hundred frames of the game, float (b, 3, size, size) in [0, 1].
        """
        patches = rearrange(patches_of(frames, self.config.patch), "b k h w -> (b h w) k")
        patches = patches[torch.randperm(len(patches))[:30_000]]
        mean = patches.mean(0)
        centred = patches - mean
        axes = torch.linalg.svd(centred[:6000], full_matrices=False)[2][: self.config.code_dim]
        self.linear_encoder.weight.copy_(CODE_SCALE * axes)
        self.linear_encoder.bias.copy_(-CODE_SCALE * (axes @ mean))
        self.linear_decoder.weight.copy_(axes.T / CODE_SCALE)
        self.linear_decoder.bias.copy_(mean)
        self.codebook.start_at(CODE_SCALE * (centred @ axes.T))

    def merge_codes(self) -> None:
        """Give up codes that say the same as others, see `EuclideanCodebook.merge`."""
        self.codebook.merge(CLOSEST)

    @property
    def decoder_parts(self) -> tuple[nn.Module, ...]:
        """The parts that turn codes into pixels, which a finetuning may change while tokens keep their meaning."""
        return self.decoder, self.linear_decoder

    def new_cache(self, batch: int) -> NoCache:
        """Return a cache for clips that are decoded frame by frame; this decoder looks at no other frame."""
        return NoCache()

    def encode(self, frames: Tensor) -> Tensor:
        """Return the tokens int64 (b, t, n) of frames float (b, t, 3, size, size) in [0, 1]."""
        encodings = self._encodings(rearrange(frames, "b t k h w -> (b t) k h w"))
        return rearrange(self.codebook.nearest(encodings), "(b t) n -> b t n", b=len(frames))

    def decode(self, tokens: Tensor, cache: NoCache | None = None) -> Tensor:
        """Return the frames of tokens int64 (b, t, n): float (b, t, 3, size, size), not clipped."""
        pixels = self._pixels(self.codebook.codes[rearrange(tokens, "b t n -> (b t) n")])
        return rearrange(pixels, "(b t) k h w -> b t k h w", b=len(tokens))

    def linear_patches(self) -> Tensor:
        """Return what the linear path alone makes of each code: pixels of a patch, float (k, 3 * patch^2)."""
        return self.codebook.codes @ self.linear_decoder.weight.T + self.linear_decoder.bias

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the reconstruction loss and metrics.

        Args:
            batch: "frames", float (b, t, 3, size, size) in [0, 1].

        Returns:
            Scalar loss, and scalars "mse" (whole frame), "commitment", "codes" (different codes in this batch).
        """
        frames = batch["frames"]
        encodings = self._encodings(rearrange(frames, "b t k h w -> (b t) k h w"))
        codes, tokens, commitment = self.codebook(encodings)
        decoded = rearrange(self._pixels(codes), "(b t) k h w -> b t k h w", b=len(frames))
        weighted, error = self.reconstruction_loss(decoded, frames)
        used = torch.bincount(tokens.flatten(), minlength=self.config.codes).count_nonzero()
        metrics = {"mse": error, "commitment": commitment.detach(), "codes": used.float()}
        return weighted + self.config.commitment_weight * commitment, metrics

    def reconstruction_loss(self, decoded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared error of decoded frames (b, t, 3, size, size): weighted for moving pixels, and plain."""
        error = (decoded - frames).float().square()
        moving = (frames - frames.median(1, keepdim=True).values).abs().amax(2, keepdim=True) > 0.02
        return ((1 + self.config.moving_weight * moving) * error).mean(), error.mean().detach()

    def _encodings(self, frames: Tensor) -> Tensor:
        """Return encodings (b, n, c) of frames (b, 3, size, size)."""
        patches = patches_of(frames, self.config.patch)
        encodings = self.encoder(patches - 0.5) + self.linear_encoder(patches)
        return rearrange(encodings, "b c h w -> b (h w) c")

    def _pixels(self, codes: Tensor) -> Tensor:
        """Return frames (b, 3, size, size) of codes (b, n, c)."""
        grid = rearrange(codes, "b (h w) c -> b c h w", h=self.config.side)
        fine = F.pixel_shuffle(self.decoder(grid), self.config.patch // 2)
        return fine + pixels_of(self.linear_decoder(grid), self.config.patch)
