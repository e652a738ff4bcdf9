"""The latent action model (LAM) of Genie and GenieRedux, learned from frames alone (Bruce et al. 2024).

Shapes: b clips, t frames, n = side * side patches a frame, d width, c width of a code.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.codebook import Codebook, warming_up
from genie_gym.models.kv_cache import Cache
from genie_gym.models.limits import check_patches, check_sizes
from genie_gym.models.transformer import SpaceTimeTransformer, TransformerConfig, history

__all__ = ["LatentActionConfig", "LatentActionModel"]

CHUNK = 32  # frames encoded together if an episode is long
CELL = 2  # side in pixels of the squares in which a code moves and changes a frame
DILATIONS = (1, 2, 4)  # of the convolutions over cells: they see 16 pixels to each side, with the first layer


@dataclass(frozen=True)
class LatentActionConfig:
    """Sizes and loss weights of the latent action model.

    Attributes:
        codes: Number of latent actions.
        size: Side of a frame in pixels.
        patch: Side of a patch in pixels.
        dim, heads, window, feed_forwards: As in TransformerConfig, for encoder and decoder.
        encoder_blocks: Blocks of the encoder.
        decoder_blocks: Blocks of the decoder.
        code_dim: Width of a code.
        drawing_dim: Channels of the convolutions that draw the next frame from a code.
        commitment_weight: Weight of the commitment loss.
        moving_weight: Extra weight in the loss of pixels that change.
        codebook_decay: Decay of the codebook's moving averages.
        codebook_min_usage: Codes used less often a step are replaced.
        warmup: Steps trained without quantisation, but no more than two fifths of the training.

    Raises:
        ConfigError: A value is out of range.
    """

    codes: int = 8  # as in Genie, which took 6 for CoinRun
    size: int = 64
    patch: int = 8
    dim: int = 128
    heads: int = 4
    window: int = 4
    feed_forwards: int = 1
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    code_dim: int = 8  # small, as the warm-up has no other bottleneck
    drawing_dim: int = 32
    commitment_weight: float = 0.25
    moving_weight: float = 4.0  # what an action does is mostly small
    codebook_decay: float = 0.98  # few codes with many encodings each follow them faster than a tokenizer's
    codebook_min_usage: float = 0.5
    warmup: int = 200  # codes that are placed before the decoder uses them stay where they are, and mean nothing

    def __post_init__(self) -> None:
        check_sizes(self)
        check_patches(self.size, self.patch)
        check_patches(self.size, CELL)
        for blocks in (self.encoder_blocks, self.decoder_blocks):
            self.transformer(blocks)  # has checks of its own

    @property
    def side(self) -> int:
        """Patches along one edge of a frame."""
        return self.size // self.patch

    def transformer(self, blocks: int) -> TransformerConfig:
        """Return the sizes of the encoder or of the decoder."""
        return TransformerConfig(self.dim, blocks, self.heads, self.side, self.window, feed_forwards=self.feed_forwards)


class LatentActionModel(nn.Module):
    """An encoder of a frame and those before it, a codebook of few codes, and a decoder of the next frame.

    The decoder sees only the past and the code, so that the code must tell what the past does not. The encoder reads
    each frame together with its change since the previous one, and the decoder moves and changes the pixels of the
    previous frame, so that both start from what an action is about.
    """

    steps: Tensor

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.config = config
        pixels = 3 * config.patch**2
        self.embed_change = nn.Linear(2 * pixels, config.dim)
        with torch.no_grad():  # start from what changes: scenery differs far more, and is unrelated to actions
            self.embed_change.weight[:, :pixels] = 0
        self.encoder = SpaceTimeTransformer(config.transformer(config.encoder_blocks))
        self.score = nn.Linear(config.dim, 1)  # an action is visible in a few patches of a frame
        self.to_code = nn.Linear(config.dim, config.code_dim)
        # Encodings are alike at first. Normalised by their mean and deviation, they are used by the decoder from the
        # start, and cannot all fall into one code.
        self.apart = nn.BatchNorm1d(config.code_dim, affine=False, momentum=0.05)
        self.codebook = Codebook(config.codes, config.code_dim, config.codebook_decay, 1, config.codebook_min_usage)
        self.embed = nn.Linear(pixels, config.dim)
        self.decoder = SpaceTimeTransformer(config.transformer(config.decoder_blocks))
        self.drawing = _Drawing(config)
        self.register_buffer("steps", torch.tensor(0))

    @torch.no_grad()
    def codes(self, frames: Tensor, cache: Cache | None = None) -> Tensor:
        """Return the latent action that led from each frame to the next.

        Args:
            frames: float (b, t, 3, size, size) in [0, 1], t at least 2 and as large as you like.
            cache: Cache of the frames before, `encoder.new_cache(b)` at first, which these frames are appended to. The
                first of them must be the last of those before.

        Returns:
            int64 (b, t - 1), 0 to codes - 1: entry i led from frame i to frame i + 1.
        """
        cache = cache or self.encoder.new_cache(len(frames))
        chunks = [frames[:, i : i + CHUNK + 1] for i in range(0, frames.shape[1] - 1, CHUNK)]
        return torch.cat([self.codebook(self._encodings(chunk, cache))[1] for chunk in chunks], 1)

    def predict(self, frames: Tensor, codes: Tensor) -> Tensor:
        """Predict each next frame from the frames up to it and the latent action.

        Args:
            frames: float (b, t, 3, size, size) in [0, 1].
            codes: int64 (b, t), the latent action taken at each frame.

        Returns:
            float (b, t, 3, size, size), not clipped: entry i is frame i + 1.
        """
        return self._decoded(frames, self.codebook.codes[codes])

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, the error of the next frames relative to repeated frames plus the commitment, and metrics.

        Args:
            batch: "frames", float (b, t, 3, size, size) in [0, 1]; "progress", float (), the share of the training that
                is done, 0 if left out.

        Returns:
            Scalar loss, and scalars "mse" (whole frame), "commitment", "codes" (different codes in this batch).
        """
        loss, metrics, _ = self.loss_and_codes(batch)
        return loss, metrics

    def loss_and_codes(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return what `forward` does, and the latent actions int64 (b, t - 1), -1 while codes mean nothing."""
        frames = batch["frames"]
        warm = self.training and warming_up(batch, self.steps, self.config.warmup, share=0.4)
        codes, tokens, commitment = self.codebook(self._encodings(frames), warm)
        self.steps += int(self.training)
        weighted, error = self._errors(self._decoded(frames[:, :-1], codes), frames)
        loss = weighted + self.config.commitment_weight * commitment
        used = torch.bincount(tokens.flatten(), minlength=self.config.codes).count_nonzero()
        metrics = {"mse": error.detach(), "commitment": commitment.detach(), "codes": used.float()}
        return loss, metrics, torch.full_like(tokens, -1) if warm else tokens

    def _errors(self, predicted: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of frames 1 to t - 1: relative to repeated frames and weighted by change; and as it is."""
        error = (predicted - frames[:, 1:]).float().square()
        change = frames[:, 1:] - frames[:, :-1]
        weight = 1 + self.config.moving_weight * (change.abs().amax(2, keepdim=True) > 0.02)
        return (weight * error).mean() / (weight * change.square()).mean().clamp(min=1e-5), error.mean()

    def _encodings(self, frames: Tensor, cache: Cache | None = None) -> Tensor:
        """Encodings (b, t - 1, c) of frames (b, t, 3, size, size), which continue the clips of the cache."""
        patches = self._patches(frames)
        changes = torch.cat([patches[:, 1:], patches[:, 1:] - patches[:, :-1]], -1)
        features = self.encoder(history(self.embed_change(changes)), cache)  # (b, t - 1, n, d)
        encodings = self.to_code((self.score(features).softmax(2) * features).sum(2))
        return rearrange(self.apart(rearrange(encodings.float(), "b t c -> b c t")), "b c t -> b t c")

    def _decoded(self, frames: Tensor, codes: Tensor) -> Tensor:
        """The frames that follow frames (b, t, 3, size, size) after codes (b, t, c), of the same shape."""
        features = self.decoder(history(self.embed(self._patches(frames))))
        scaled = codes * self.config.code_dim**0.5  # entries of size one
        motion, change = self.drawing(frames, features, scaled)
        return _moved(frames, motion) + change

    def _patches(self, frames: Tensor) -> Tensor:
        p = self.config.patch
        return rearrange(frames, "b t k (h p) (w q) -> b t (h w) (p q k)", p=p, q=p)


class _Drawing(nn.Module):
    """How pixels move and change by a code: convolutions over the previous frame and the decoder's features.

    The code enters only here, the same for every pixel. A decoder that works on patches uses a code for the position
    within the patch, so that one code moves a thing left here and right there: in Airstriker such codes told 54 of 100
    steps to the left from those to the right; with these convolutions, 89.
    """

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.side, width, pixels = config.side, config.drawing_dim, CELL**2
        self.enter = nn.Conv2d(3 * pixels, width, 3, padding=1)
        self.of_past = nn.Linear(config.dim, width)
        self.of_code = nn.ModuleList(nn.Linear(config.code_dim, 2 * width) for _ in DILATIONS)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in DILATIONS)
        self.leave = nn.Conv2d(width, 5 * pixels, 1)
        for parameter in self.leave.parameters():  # the first guess is that nothing happens
            nn.init.zeros_(parameter)

    def forward(self, frames: Tensor, past: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each pixel of the next frame comes from, and what is added to it.

        Args:
            frames: float (b, t, 3, size, size).
            past: Features of the decoder, float (b, t, n, d).
            codes: float (b, t, c).

        Returns:
            Displacement in pixels (b, t, size, size, 2), x first, and change (b, t, 3, size, size).
        """
        cells = rearrange(frames, "b t k (h p) (w q) -> (b t) (k p q) h w", p=CELL, q=CELL)
        known = rearrange(self.of_past(past), "b t (h w) d -> (b t) d h w", h=self.side)
        cells, known = (x.contiguous(memory_format=torch.channels_last) for x in (cells, known))  # a fifth faster
        features = self.enter(cells) + F.interpolate(known, cells.shape[-2:], mode="bilinear")
        for layer, of_code in zip(self.layers, self.of_code, strict=True):
            scale, shift = rearrange(of_code(codes), "b t (two d) -> two (b t) d 1 1", two=2)
            features = features + F.gelu(layer(features) * (1 + scale) + shift)
        drawn = rearrange(self.leave(features), "(b t) (k p q) h w -> b t k (h p) (w q)", b=len(frames), p=CELL, q=CELL)
        motion = 4 * drawn[:, :, :2]  # things move by some pixels, and change by less than 1
        return rearrange(motion, "b t k h w -> b t h w k"), drawn[:, :, 2:]


def _moved(frames: Tensor, motion: Tensor) -> Tensor:
    """Frames (b, t, 3, s, s) with each pixel taken from its place plus `motion` (b, t, s, s, 2), in pixels, x first."""
    b, _, _, s, _ = frames.shape
    centres = (torch.arange(s, device=frames.device) + 0.5) * 2 / s - 1  # of pixels, in grid_sample's -1 to 1
    here = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)
    there = rearrange(here + motion.float() * 2 / s, "b t h w k -> (b t) h w k")
    flat = rearrange(frames, "b t k h w -> (b t) k h w").float()
    moved = F.grid_sample(flat, there, padding_mode="border", align_corners=False)
    return rearrange(moved, "(b t) k h w -> b t k h w", b=b)
