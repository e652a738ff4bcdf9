"""The causal space-time transformer (Xu et al. 2020) that every part of the world model is made of.

Shapes: b clips, t frames, n tokens a frame (a grid of side x side), d width, h heads, e width of a head.

A clip has *history* frames, which see the frames before them, and may have *draft* frames beside them: guesses of
the frames that follow the last of the history frames, one each, which see the history strictly before their place in
time and themselves, and which no other frame sees. Training predicts all frames of a clip but the first as drafts at
once, each from a clean past; a dream keeps one draft and a cache of the history. It is the same arithmetic, so what is
trained is what is stepped.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genie_gym.errors import ConfigError
from genie_gym.models.cache import BlockCache, Cache

Memory = tuple[BlockCache, Tensor] | None  # and the number of the first new frame
FEW, SHORT = 4, 15  # queries, or fewer, that a CPU's fused attention is slow with: in float32, in bfloat16

__all__ = ["Frames", "SpaceTimeTransformer", "TransformerConfig", "alibi_slopes", "recompute_activations"]


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of one space-time transformer.

    Attributes:
        dim: width of a token.
        blocks: number of blocks, each with spatial and temporal attention.
        heads: attention heads; must divide `dim`.
        side: tokens along one edge of a frame.
        window: frames that temporal attention sees, the current one included. A dream can go on without end because
            older frames leave the window in training as they do in the dream.
        expansion: hidden width of the feed-forward layers over `dim`, counted before gating.
        feeds: feed-forward layers in a block: 2, after space and after time, as in the paper; or 1, at its end, as in
            Genie (Bruce et al. 2024), which left the other out to spend its cost elsewhere.
        actions: size of the one-hot action concatenated to the input of every feed-forward layer; 0 for none.
        time_first: temporal before spatial attention, as the paper's decoder has it.

    Raises:
        ConfigError: a size that no transformer has.
    """

    dim: int = 128
    blocks: int = 4
    heads: int = 4
    side: int = 8
    window: int = 8
    expansion: float = 2.0
    feeds: int = 2
    actions: int = 0
    time_first: bool = False

    def __post_init__(self) -> None:
        for name in ("dim", "blocks", "heads", "side", "window", "feeds"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} must be a whole number, 1 or more; got {value!r}")
        if self.dim % self.heads:
            raise ConfigError(f"heads must divide dim; got {self.heads} and {self.dim}")


@dataclass
class Frames:
    """History frames followed by draft frames, with what conditions them.

    Attributes:
        tokens: float (b, t, n, d), `history` frames first, then drafts: the last of the frame after the history, the
            one before it of the last history frame, and so on; one may follow no history at all but a cache.
        history: how many of the t frames are history.
        actions: float (b, t, actions), one-hot action that led to each frame, zeros for none; None if unconditioned.
    """

    tokens: Tensor
    history: int
    actions: Tensor | None = None

    @property
    def drafts(self) -> int:
        """How many of the t frames are drafts."""
        return self.tokens.shape[1] - self.history

    def times(self) -> Tensor:
        """Each frame's place in time relative to the first frame that is not in the cache: int64 (t,)."""
        places = torch.arange(self.history + 1, device=self.tokens.device)
        return torch.cat([places[:-1], places[len(places) - self.drafts :]])


def alibi_slopes(heads: int) -> Tensor:
    """Geometric slopes 2^(-8 i / heads), i = 1 .. heads (Press et al. 2022)."""
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)


class PositionEncodingGenerator(nn.Module):
    """Depthwise 3x3x3 convolution over the token grid, causal in time (Chu et al. 2023), added to its input."""

    def __init__(self, dim: int, side: int):
        super().__init__()
        self.side = side
        self.conv = nn.Conv3d(dim, dim, 3, padding=(0, 1, 1), groups=dim)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, frames: Frames, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes the frames after the two in tail (b, 2, n, d); returns the sum (b, t, n, d) and the next tail."""
        x, history = frames.tokens, frames.history
        everything = torch.cat([tail, x], 1)  # (b, 2 + t, n, d)
        past = everything[:, : 2 + history]
        if torch.is_grad_enabled() or frames.drafts > 1:
            encoded = self._by_slices(frames, past)
        else:  # a single draft follows the history as one more frame would
            grid = rearrange(everything, "b t (h w) d -> b d t h w", h=self.side)
            encoded = rearrange(self.conv(grid), "b d t h w -> b t (h w) d")
        return x + encoded, past[:, -2:]

    def _by_slices(self, frames: Frames, past: Tensor) -> Tensor:
        """The kernel's three slices in time, each convolved with whole frames, and their sum (b, t, n, d).

        A draft shares with the history frame in its place what the two frames before bring; `past` begins with those
        before the first (b, 2 + history, n, d). It is the same sum as the convolution in three dimensions, whose
        backward pass has no fast kernel on a CPU: this one takes less than half the time in float32, a seventh in
        bfloat16.
        """
        before = self._slice(past, 0)[:, :-1] + self._slice(past, 1)[:, 1:]  # of each history frame, and the next one
        own, drafts = before[:, :-1], before[:, before.shape[1] - frames.drafts :]
        return self._slice(frames.tokens, 2) + (torch.cat([own, drafts], 1) if frames.drafts else own)

    def _slice(self, x: Tensor, place: int) -> Tensor:
        """(b, t, n, d) to the same, convolved with the kernel's slice of this place in time."""
        b, weight = x.shape[0], self.conv.weight[:, :, place]
        bias = self.conv.bias if place == 2 else None
        grid = rearrange(x, "b t (h w) d -> (b t) d h w", h=self.side)
        return rearrange(F.conv2d(grid, weight, bias, padding=1, groups=len(weight)), "(b t) d h w -> b t (h w) d", b=b)


class Attention(nn.Module):
    """Multi-head self-attention within each frame, or over time at each place of the grid."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        # A residual branch that starts at zero lets gradients reach the input from the first step on.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def space(self, x: Tensor) -> Tensor:
        """x (b, t, n, d): every token sees its own frame."""
        b = x.shape[0]
        q, k, v = rearrange(self.qkv(self.norm(x)), "b t n (c h e) -> c (b t) h n e", c=3, h=self.heads)
        return x + self.out(rearrange(_attend(q, k, v), "(b t) h n e -> b t n (h e)", b=b))

    def time(self, x: Tensor, bias: Tensor, history: int, memory: Memory, unused: int = 0) -> Tensor:
        """x (b, t, n, d): every token sees its own place in the frames that `bias` (b or 1, h, t, keys) lets it see.

        The first `unused` frames are only looked at: (b, t - unused, n, d) comes back.
        """
        b, n = x.shape[0], x.shape[2]
        qkv = rearrange(self.qkv(self.norm(x)), "b t n (c h e) -> c b n h t e", c=3, h=self.heads)
        seen = qkv[1:] if memory is None else memory[0].extend(qkv[1:], history, memory[1])
        bias = bias[:, :, unused:]
        if bias.shape[0] > 1:
            bias = repeat(bias, "b h t k -> (b n) h t k", n=n)
        q, keys, values = (rearrange(z, "b n h t e -> (b n) h t e") for z in (qkv[0, ..., unused:, :], *seen))
        y = _attend(q, keys, values, bias.to(q.dtype))
        return x[:, unused:] + self.out(rearrange(y, "(b n) h t e -> b t n (h e)", b=b))


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(e) + bias) v: q (b, h, t, e), k and v (b, h, keys, e), bias (b or 1, h, t, keys)."""
    if not _fused_is_slow(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    bias = q.new_zeros(()) if bias is None else bias
    q = q * q.shape[-1] ** -0.5
    if torch.compiler.is_compiling() and q.shape[2] <= FEW:
        # Compiled, the sums become one loop, three times as fast as matrix products so small.
        scores = (q.unsqueeze(3).float() * k.unsqueeze(2).float()).sum(-1) + bias  # (b, h, t, keys)
        return (scores.softmax(-1).unsqueeze(4) * v.unsqueeze(2).float()).sum(3).to(v.dtype)
    return (q @ k.transpose(2, 3) + bias).softmax(-1) @ v


def _fused_is_slow(q: Tensor) -> bool:
    """Whether plain matrix products are faster than the CPU's fused attention.

    It pads its queries: in bfloat16 it takes twice as long with 2 to 8 of them, half as long again with 12, and is the
    faster one from 16 on. And its backward pass in bfloat16 uses none of the instructions for it: ten times slower
    where frames have 64 tokens, twice where they have 256.
    """
    bfloat16 = q.dtype == torch.bfloat16
    backward = torch.is_grad_enabled() and bfloat16
    return q.device.type == "cpu" and (q.shape[2] <= (SHORT if bfloat16 else FEW) or backward)


class FeedForward(nn.Module):
    """Gated feed-forward layer (GEGLU, Shazeer 2020) on the tokens with the frame's action concatenated."""

    def __init__(self, dim: int, expansion: float, actions: int):
        super().__init__()
        hidden = int(dim * expansion)
        self.norm = nn.LayerNorm(dim)
        self.inner = nn.Linear(dim, 2 * hidden)
        # Linear(concat(x, a)) = W x + V a; keeping V apart spares copying the action to all n tokens of a frame.
        self.action = nn.Linear(actions, 2 * hidden, bias=False) if actions else None
        self.out = nn.Linear(hidden, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, actions: Tensor | None) -> Tensor:
        inner = self.inner(self.norm(x))
        if self.action is not None:
            inner = inner + self.action(actions).unsqueeze(2)
        value, gate = inner.chunk(2, -1)
        return x + self.out(value * F.gelu(gate))


class Block(nn.Module):
    """Position encoding and attention in space, then the same over time (or time first), feed-forward after both or
    at the end."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.time_first = config.time_first
        self.encoding = nn.ModuleList(PositionEncodingGenerator(config.dim, config.side) for _ in range(2))
        self.space = Attention(config.dim, config.heads)
        self.time = Attention(config.dim, config.heads)
        feeds = (FeedForward(config.dim, config.expansion, config.actions) for _ in range(config.feeds))
        self.feed = nn.ModuleList(feeds)

    def forward(self, frames: Frames, bias: Tensor, memory: Memory, unused: int = 0) -> Tensor:
        """Tokens (b, t - unused, n, d): nobody asks what becomes of the first `unused` frames."""
        x, actions = frames.tokens, frames.actions
        for i in range(2):
            tail = x.new_zeros(x.shape[0], 2, *x.shape[2:]) if memory is None else memory[0].tails[i]
            x, newest = self.encoding[i](replace(frames, tokens=x), tail)
            if memory is not None and frames.history:
                tail.copy_(newest)
            drop = unused if i == 1 else 0  # from here on others see of a frame only its keys and values
            in_time = (i == 0) == self.time_first
            x = self.time.time(x, bias, frames.history, memory, drop) if in_time else self.space.space(x[:, drop:])
            feed = i - 2 + len(self.feed)  # the last layer stands at the end
            if feed >= 0:
                x = self.feed[feed](x, None if actions is None else actions[:, drop:])
        return x


class SpaceTimeTransformer(nn.Module):
    """A stack of blocks over frames of tokens; see the module's docstring for history, drafts and the cache.

    Attributes:
        recompute: see `recompute_activations`.
    """

    slopes: Tensor

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.recompute = False
        self.position = nn.Parameter(torch.randn(config.side**2, config.dim) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.register_buffer("slopes", alibi_slopes(config.heads), persistent=False)

    def forward(self, frames: Frames, cache: Cache | None = None) -> Tensor:
        """Runs all blocks; with a cache, the history frames are appended to it.

        Args:
            frames: history and draft frames.
            cache: what earlier calls left behind; None when the clip begins with these frames.

        Returns:
            float (b, drafts, n, d), normalised; (b, t, n, d), the history, where there are no drafts.
        """
        bias = self.bias(frames, cache)
        tokens = frames.tokens + self.position
        for i, block in enumerate(self.blocks):
            memory = None if cache is None else (cache.blocks[i], cache.number)
            unused = frames.history if frames.drafts and i == len(self.blocks) - 1 else 0
            given = replace(frames, tokens=tokens), bias, memory, unused
            if self.recompute and torch.is_grad_enabled():
                tokens = checkpoint(block, *given, use_reentrant=False)
            else:
                tokens = block(*given)
        if cache is not None:
            cache.advance(frames.history)
        return self.norm(tokens)

    def bias(self, frames: Frames, cache: Cache | None) -> Tensor:
        """ALiBi penalties, minus infinity where a frame must not look: float (b or 1, heads, t, keys)."""
        times, places = frames.times(), torch.arange(frames.tokens.shape[1], device=self.slopes.device)
        key_times = times[None] if cache is None else cache.times(times, frames.history)  # (b or 1, keys)
        keys = key_times.shape[1]
        key_places = torch.arange(keys, device=places.device) - keys + len(times)  # the last keys are the drafts
        draft, key_draft = places >= frames.history, key_places >= frames.history
        age = times[None, :, None] - key_times[:, None, :]  # (b or 1, t, keys)
        # History sees history up to itself; a draft sees what came before it, and itself.
        visible = (age >= draft[:, None].long()) & (age < self.config.window) & ~key_draft
        visible = visible | (key_draft & (places[:, None] == key_places))
        penalty = -self.slopes[:, None, None] * age[:, None].to(self.slopes.dtype)
        return penalty.masked_fill(~visible[:, None], float("-inf"))

    def new_cache(self, batch: int) -> Cache:
        """An empty cache for `batch` clips on the device of the weights, in their precision or autocast's."""
        c = self.config
        return Cache.empty(batch, c.blocks, c.side**2, c.heads, c.dim, c.window, like=self.position)


def recompute_activations(module: nn.Module, on: bool = True) -> None:
    """Spares memory in training: what happens inside a block is not kept for the backward pass but done again there,
    one forward pass more. Holds for all transformers within `module`."""
    for part in module.modules():
        if isinstance(part, SpaceTimeTransformer):
            part.recompute = on


def history(tokens: Tensor, actions: Tensor | None = None) -> Frames:
    """All frames as history: the plain causal pass."""
    return Frames(tokens, tokens.shape[1], actions)


def with_drafts(tokens: Tensor, drafts: Tensor, actions: Tensor | None = None) -> Frames:
    """History and drafts of the frames that follow its last m, in one pass.

    Args:
        tokens: float (b, t, n, d), the history.
        drafts: float (b, m, n, d), m <= t.
        actions: float (b, t + 1, actions), one-hot action that led to each frame of the history and to the one after.
    """
    t, m = tokens.shape[1], drafts.shape[1]
    actions = None if actions is None else torch.cat([actions[:, :t], actions[:, t + 1 - m :]], 1)
    return Frames(torch.cat([tokens, drafts], 1), t, actions)
