"""The latent action model (LAM) of Genie and GenieRedux: which of a few actions led from each frame to the next,
learned from pictures alone (Bruce et al. 2024; paper section 4).

Shapes: b clips, t frames, n = side * side patches a frame, d width, c width of a code.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.cache import Cache
from genie_gym.models.codebook import Codebook, warming_up
from genie_gym.models.transformer import SpaceTimeTransformer, TransformerConfig, history

__all__ = ["LatentActionConfig", "LatentActionModel"]

PIECE = 32  # frames encoded at once where an episode is long
CELL = 2  # side in pixels of the squares in which a code moves and changes a frame
REACHES = (1, 2, 4)  # cells between what each convolution sees; 16 pixels to each side with the first layer


@dataclass(frozen=True)
class LatentActionConfig:
    """Sizes and loss weights of the latent action model.

    Attributes:
        codes: number of latent actions; 8 as in Genie, which took 6 for CoinRun.
        size: side of a frame in pixels.
        patch: side of a patch in pixels.
        dim, heads, window, feeds: as in TransformerConfig, for encoder and decoder.
        encoder_blocks, decoder_blocks: depth.
        code_dim: width of a code; small, as the warm-up has no other bottleneck.
        drawing_dim: channels of the convolutions that draw the next frame by a code.
        commitment: weight of the commitment loss.
        moving: extra weight in the loss of pixels that change; what an action does is mostly small.
        decay, idle: of the codebook. Few codes with many encodings each can follow them faster than a tokenizer's, and
            one that is chosen less than once in two steps is worth a better place.
        warmup: steps trained without quantisation, but no more than two fifths of the fit: codes placed before the
            decoder heeds them stay where they are, and mean nothing.
    """

    codes: int = 8
    size: int = 64
    patch: int = 8
    dim: int = 128
    heads: int = 4
    window: int = 4
    feeds: int = 1
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    code_dim: int = 8
    drawing_dim: int = 32
    commitment: float = 0.25
    moving: float = 4.0
    decay: float = 0.98
    idle: float = 0.5
    warmup: int = 200

    @property
    def side(self) -> int:
        """Patches along one edge of a frame."""
        return self.size // self.patch

    def transformer(self, blocks: int) -> TransformerConfig:
        return TransformerConfig(self.dim, blocks, self.heads, self.side, self.window, feeds=self.feeds)


class LatentActionModel(nn.Module):
    """An encoder that sees a frame and those before it, a codebook of few codes, and a decoder that sees only the past
    and must draw the frame: all that it can learn of it is the code.

    The encoder is given each frame beside its change since the last one, and the decoder moves and changes the pixels
    of the last frame, so that both begin with what an action is about.
    """

    steps: Tensor

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.config = config
        pixels = 3 * config.patch**2
        self.embed_change = nn.Linear(2 * pixels, config.dim)
        with torch.no_grad():  # begin with what changes: the scenery differs far more, and says nothing of actions
            self.embed_change.weight[:, :pixels] = 0
        self.encoder = SpaceTimeTransformer(config.transformer(config.encoder_blocks))
        self.score = nn.Linear(config.dim, 1)  # an action shows in a few patches of a frame
        self.to_code = nn.Linear(config.dim, config.code_dim)
        # Encodings are alike at first. Measured from their own mean, in their own deviation, they are heeded by the
        # decoder from the start, and cannot all fall into one code.
        self.apart = nn.BatchNorm1d(config.code_dim, affine=False, momentum=0.05)
        self.codebook = Codebook(config.codes, config.code_dim, config.decay, revive=1, idle=config.idle)
        self.embed = nn.Linear(pixels, config.dim)
        self.decoder = SpaceTimeTransformer(config.transformer(config.decoder_blocks))
        self.drawing = _Drawing(config)
        self.register_buffer("steps", torch.tensor(0))

    @torch.no_grad()
    def codes(self, frames: Tensor, cache: Cache | None = None) -> Tensor:
        """The latent action that led from each frame to the next.

        Args:
            frames: float (b, t, 3, size, size) in [0, 1], t at least 2 and as long as you like.
            cache: a memory of what came before, `encoder.new_cache(b)` at first, which these frames are added to: the
                first of them then is the last of those before.

        Returns:
            int64 (b, t - 1), 0 to codes - 1: entry i led from frame i to frame i + 1.
        """
        cache = cache or self.encoder.new_cache(len(frames))
        pieces = [frames[:, i : i + PIECE + 1] for i in range(0, frames.shape[1] - 1, PIECE)]
        return torch.cat([self.codebook(self._encodings(piece, cache))[1] for piece in pieces], 1)

    def predict(self, frames: Tensor, codes: Tensor) -> Tensor:
        """Each next frame from the frames up to it and the code that leads on.

        Args:
            frames: float (b, t, 3, size, size) in [0, 1].
            codes: int64 (b, t), the latent action taken at each frame.

        Returns:
            float (b, t, 3, size, size), not clipped: entry i is frame i + 1.
        """
        return self._decoded(frames, self.codebook.codes[codes])

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Error of the next frames as a share of that of the last ones repeated, and the commitment to the codes.

        Args:
            batch: "frames", float (b, t, 3, size, size) in [0, 1]; "progress", float (), how much of the fit lies
                behind (0 to 1), 0 if left out.

        Returns:
            scalar loss, and scalars "mse" (whole frame), "commitment", "codes" (different codes in this batch).
        """
        loss, metrics, _ = self.loss_and_codes(batch)
        return loss, metrics

    def loss_and_codes(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """As `forward`, and what led from each frame to the next, int64 (b, t - 1); -1 while codes mean nothing."""
        frames = batch["frames"]
        warm = self.training and warming_up(batch, self.steps, self.config.warmup, share=0.4)
        codes, chosen, commitment = self.codebook(self._encodings(frames), warm)
        self.steps += int(self.training)
        weighted, error = self._errors(self._decoded(frames[:, :-1], codes), frames)
        loss = weighted + self.config.commitment * commitment
        used = torch.bincount(chosen.flatten(), minlength=self.config.codes).count_nonzero()
        metrics = {"mse": error.detach(), "commitment": commitment.detach(), "codes": used.float()}
        return loss, metrics, torch.full_like(chosen, -1) if warm else chosen

    def _errors(self, predicted: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of frames 1 to t - 1 over that of the last frames repeated, with extra weight on pixels that
        change; and as it is."""
        error = (predicted - frames[:, 1:]).float().square()
        change = frames[:, 1:] - frames[:, :-1]
        weight = 1 + self.config.moving * (change.abs().amax(2, keepdim=True) > 0.02)
        return (weight * error).mean() / (weight * change.square()).mean().clamp(min=1e-5), error.mean()

    def _encodings(self, frames: Tensor, cache: Cache | None = None) -> Tensor:
        """Float frames (b, t, 3, size, size) to float (b, t - 1, c); with a cache, continuing its clips."""
        patches = self._patches(frames)
        seen = torch.cat([patches[:, 1:], patches[:, 1:] - patches[:, :-1]], -1)
        features = self.encoder(history(self.embed_change(seen)), cache)  # (b, t - 1, n, d)
        encodings = self.to_code((self.score(features).softmax(2) * features).sum(2))
        return rearrange(self.apart(rearrange(encodings.float(), "b t c -> b c t")), "b c t -> b t c")

    def _decoded(self, frames: Tensor, codes: Tensor) -> Tensor:
        """Float frames (b, t, 3, size, size) and codes (b, t, c) to the frames that follow, of the same shape."""
        features = self.decoder(history(self.embed(self._patches(frames))))
        scaled = codes * self.config.code_dim**0.5  # entries of size one, as layers like them
        motion, change = self.drawing(frames, features, scaled)
        return _moved(frames, motion) + change

    def _patches(self, frames: Tensor) -> Tensor:
        p = self.config.patch
        return rearrange(frames, "b t k (h p) (w q) -> b t (h w) (p q k)", p=p, q=p)


class _Drawing(nn.Module):
    """How pixels move and change by a code: convolutions over the last frame and what the decoder knows of the past.

    The code enters here alone, the same for every pixel. A decoder that works on patches learns from a code where in
    the patch a thing is, so that one code moves it left here and right there: codes found in play of Airstriker then
    told 54 of 100 steps to the left from those to the right; with these, 89.
    """

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.side, width, pixels = config.side, config.drawing_dim, CELL**2
        self.enter = nn.Conv2d(3 * pixels, width, 3, padding=1)
        self.of_past = nn.Linear(config.dim, width)
        self.of_code = nn.ModuleList(nn.Linear(config.code_dim, 2 * width) for _ in REACHES)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=reach, dilation=reach) for reach in REACHES)
        self.leave = nn.Conv2d(width, 5 * pixels, 1)
        for parameter in self.leave.parameters():  # the first guess is that nothing happens
            nn.init.zeros_(parameter)

    def forward(self, frames: Tensor, past: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """From frames (b, t, 3, size, size), features (b, t, n, d) and codes (b, t, c): the way in pixels to what each
        pixel shows next, (b, t, size, size, 2), and what is added to it, (b, t, 3, size, size)."""
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
    """Frames (b, t, 3, s, s), each pixel taken from where `motion` (b, t, s, s, 2), in pixels, x first, points."""
    b, _, _, s, _ = frames.shape
    middles = (torch.arange(s, device=frames.device) + 0.5) * 2 / s - 1  # of pixels, in grid_sample's -1 to 1
    here = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), -1)
    there = rearrange(here + motion.float() * 2 / s, "b t h w k -> (b t) h w k")
    flat = rearrange(frames, "b t k h w -> (b t) k h w").float()
    moved = F.grid_sample(flat, there, padding_mode="border", align_corners=False)
    return rearrange(moved, "(b t) k h w -> b t k h w", b=b)
