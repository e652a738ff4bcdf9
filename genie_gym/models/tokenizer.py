"""The video tokenizer: frames to tokens and back, causal in time (paper section 4, ST-ViViT with a VQ bottleneck).

Shapes: b clips, t frames, n = side * side tokens a frame, d width, c width of a code.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.codebook import Codebook, warming_up
from genie_gym.models.kv_cache import Cache
from genie_gym.models.limits import check_patches, check_sizes
from genie_gym.models.transformer import SpaceTimeTransformer, TransformerConfig, history

__all__ = ["Tokenizer", "TokenizerConfig"]


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes and loss weights of the tokenizer.

    Attributes:
        size: Side of a frame in pixels.
        patch: Side of a patch in pixels; a frame has (size / patch)^2 tokens.
        dim, heads, window, feed_forwards: As in TransformerConfig, for encoder and decoder.
        encoder_blocks: Blocks of the encoder.
        decoder_blocks: Blocks of the decoder.
        codes: Number of codes.
        code_dim: Width of a code.
        commitment_weight: Weight of the commitment loss.
        moving_weight: Extra weight in the loss of pixels that differ from the clip's median.
        warmup: Steps trained without quantisation, but no more than a fifth of the training.

    Raises:
        ConfigError: A value is out of range.
    """

    size: int = 64
    patch: int = 8
    dim: int = 128
    heads: int = 4
    window: int = 8
    feed_forwards: int = 2
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    codes: int = 1024
    code_dim: int = 32  # small, so that nearest neighbours mean something
    commitment_weight: float = 0.25
    moving_weight: float = 4.0  # whole-frame error forgives a vanished sprite on a plain background
    warmup: int = 300  # the codebook then starts at real encodings

    def __post_init__(self) -> None:
        check_sizes(self)
        check_patches(self.size, self.patch)
        for blocks in (self.encoder_blocks, self.decoder_blocks):
            self.transformer(blocks, time_first=True)  # has checks of its own

    def build(self) -> "Tokenizer":
        """Return a tokenizer of these sizes, not yet trained."""
        return Tokenizer(self)

    @property
    def side(self) -> int:
        """Tokens along one edge of a frame."""
        return self.size // self.patch

    def transformer(self, blocks: int, time_first: bool) -> TransformerConfig:
        """Return the sizes of the encoder or of the decoder."""
        return TransformerConfig(
            self.dim,
            blocks,
            self.heads,
            self.side,
            self.window,
            feed_forwards=self.feed_forwards,
            time_first=time_first,
        )


class Tokenizer(nn.Module):
    """Encoder (space, then time), codebook, decoder (time, then space)."""

    steps: Tensor

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        pixels = 3 * config.patch**2
        self.embed = nn.Linear(pixels, config.dim)
        self.encoder = SpaceTimeTransformer(config.transformer(config.encoder_blocks, time_first=False))
        self.to_code = nn.Linear(config.dim, config.code_dim)
        self.codebook = Codebook(config.codes, config.code_dim)
        self.from_code = nn.Linear(config.code_dim, config.dim)
        self.decoder = SpaceTimeTransformer(config.transformer(config.decoder_blocks, time_first=True))
        self.to_pixels = nn.Linear(config.dim, pixels)
        self.register_buffer("steps", torch.tensor(0))

    def prepare(self, frames: Tensor) -> None:
        """Do nothing: this tokenizer's codes start at the encodings of its own encoder."""

    def merge_codes(self) -> None:
        """Do nothing: its codes have unit length, and do not crowd around a few patches."""

    @property
    def decoder_parts(self) -> tuple[nn.Module, ...]:
        """The parts that turn codes into pixels, which a finetuning may change while tokens keep their meaning."""
        return self.from_code, self.decoder, self.to_pixels

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for the decoding of `batch` clips frame by frame."""
        return self.decoder.new_cache(batch)

    def encode(self, frames: Tensor) -> Tensor:
        """Return the tokens int64 (b, t, n) of frames float (b, t, 3, size, size) in [0, 1]."""
        return self.codebook(self._encodings(frames))[1]

    def decode(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Return the frames of tokens (b, t, n).

        Args:
            tokens: int64 (b, t, n).
            cache: Cache of the clips that these frames continue, if any.

        Returns:
            float (b, t, 3, size, size), not clipped.
        """
        return self._pixels(self.codebook.codes[tokens], cache)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the reconstruction loss and metrics.

        Args:
            batch: "frames", float (b, t, 3, size, size) in [0, 1]; "progress", float (), the share of the training that
                is done, 0 if left out.

        Returns:
            Scalar loss, and scalars "mse" (whole frame), "commitment", "codes" (different codes in this batch).
        """
        frames = batch["frames"]
        warm = self.training and warming_up(batch, self.steps, self.config.warmup, share=0.2)
        codes, tokens, commitment = self.codebook(self._encodings(frames), warm)
        self.steps += int(self.training)
        weighted, error = self.reconstruction_loss(self._pixels(codes), frames)
        loss = weighted + self.config.commitment_weight * commitment
        used = torch.bincount(tokens.flatten(), minlength=self.config.codes).count_nonzero()
        return loss, {"mse": error, "commitment": commitment.detach(), "codes": used.float()}

    def reconstruction_loss(self, decoded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared error of decoded frames (b, t, 3, size, size): weighted for moving pixels, and plain."""
        error = (decoded - frames).float().square()
        moving = (frames - frames.median(1, keepdim=True).values).abs().amax(2, keepdim=True) > 0.02
        return ((1 + self.config.moving_weight * moving) * error).mean(), error.mean().detach()

    def _encodings(self, frames: Tensor) -> Tensor:
        p = self.config.patch
        patches = rearrange(frames, "b t k (h p) (w q) -> b t (h w) (p q k)", p=p, q=p)
        return self.to_code(self.encoder(history(self.embed(patches))))

    def _pixels(self, codes: Tensor, cache: Cache | None = None) -> Tensor:
        p, side = self.config.patch, self.config.side
        features = self.decoder(history(self.from_code(codes)), cache)
        return rearrange(self.to_pixels(features), "b t (h w) (p q k) -> b t k (h p) (w q)", h=side, p=p, q=p)
