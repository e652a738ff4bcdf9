"""The causal space-time transformer (Xu et al. 2020) that all parts of the world model are built from.

Shapes: b clips, t frames, n tokens a frame (a grid of side x side), d width, h heads, e width of a head.

A clip has *history* frames, which attend to the frames before them, and may have *draft* frames: partly masked versions
of later frames, one for each point in time, which attend to the history strictly before their time and to themselves,
and which no other frame attends to. Training predicts all frames of a clip but the first as drafts in a single pass,
each from a clean past; a rollout keeps one draft and a cache of the history. Both are the same arithmetic, so what is
trained is what is stepped.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genie_gym.errors import ConfigError
from genie_gym.models.kv_cache import BlockCache, Cache
from genie_gym.models.limits import check_sizes, check_weights

Memory = tuple[BlockCache, Tensor] | None  # and the number of the first new frame
FEW, SHORT = 4, 15  # largest numbers of queries with which a CPU's fused attention is slow: in float32, in bfloat16

__all__ = ["Frames", "SpaceTimeTransformer", "TransformerConfig", "alibi_slopes", "recompute_activations"]


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of one space-time transformer.

    Attributes:
        dim: Width of a token.
        blocks: Number of blocks, each with spatial and temporal attention.
        heads: Attention heads; must divide `dim`.
        side: Tokens along one edge of a frame.
        window: Frames that temporal attention covers, the current one included. Rollouts can be of any length because
            older frames leave the window in training as they do in a rollout.
        expansion: Inner width of the feed-forward layers relative to `dim`, counted before gating.
        feed_forwards: Feed-forward layers in a block: 2, after space and after time, as in the paper; or 1, at its end,
            as in Genie (Bruce et al. 2024), which spends the cost of the other one elsewhere.
        num_actions: Size of the one-hot action concatenated to the input of every feed-forward layer; 0 for none.
        time_first: Whether temporal attention comes before spatial attention, as in the paper's decoder.

    Raises:
        ConfigError: A size is impossible.
    """

    dim: int = 128
    blocks: int = 4
    heads: int = 4
    side: int = 8
    window: int = 8
    expansion: float = 2.0
    feed_forwards: int = 2
    num_actions: int = 0
    time_first: bool = False

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.dim % self.heads:
            raise ConfigError(f"heads must divide dim; got {self.heads} and {self.dim}")
        check_weights(self.dim, self.blocks, 8 + 3 * self.expansion * self.feed_forwards)


@dataclass
class Frames:
    """History frames followed by draft frames, and their actions.

    Attributes:
        tokens: float (b, t, n, d), `history` frames first, then drafts: the last one of the frame after the history,
            the one before it of the last history frame, and so on. The history may be empty if there is a cache.
        history: How many of the t frames are history.
        actions: float (b, t, num_actions), one-hot action that led to each frame, zeros for none; None if the
            transformer has no actions.
    """

    tokens: Tensor
    history: int
    actions: Tensor | None = None

    @property
    def drafts(self) -> int:
        """Number of drafts among the t frames."""
        return self.tokens.shape[1] - self.history

    def times(self) -> Tensor:
        """Return each frame's time relative to the first frame that is not in the cache, int64 (t,)."""
        times = torch.arange(self.history + 1, device=self.tokens.device)
        return torch.cat([times[:-1], times[len(times) - self.drafts :]])


def alibi_slopes(heads: int) -> Tensor:
    """Return geometric slopes 2^(-8 i / heads), i = 1 .. heads (Press et al. 2022)."""
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)


class PositionEncodingGenerator(nn.Module):
    """A depthwise 3x3x3 convolution over the token grid, causal in time (Chu et al. 2023), added to its input."""

    def __init__(self, dim: int, side: int):
        super().__init__()
        self.side = side
        self.conv = nn.Conv3d(dim, dim, 3, padding=(0, 1, 1), groups=dim)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, frames: Frames, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the frames that follow the two in tail (b, 2, n, d).

        Returns:
            The sum of input and encoding (b, t, n, d), and the tail of the next frames.
        """
        x, history = frames.tokens, frames.history
        extended = torch.cat([tail, x], 1)  # (b, 2 + t, n, d)
        past = extended[:, : 2 + history]
        if torch.is_grad_enabled() or frames.drafts > 1:
            encoded = self._by_slices(frames, past)
        else:  # a single draft follows the history as one more frame would
            grid = rearrange(extended, "b t (h w) d -> b d t h w", h=self.side)
            encoded = rearrange(self.conv(grid), "b d t h w -> b t (h w) d")
        return x + encoded, past[:, -2:]

    def _by_slices(self, frames: Frames, past: Tensor) -> Tensor:
        """The sum (b, t, n, d) of the kernel's three slices in time, each a convolution of whole frames.

        A draft shares the terms of the two frames before with the history frame of the same time; `past` (b, 2 +
        history, n, d) begins with the two frames before the first. The sum is that of the three-dimensional
        convolution, whose backward pass has no fast kernel on a CPU: this one takes less than half the time in float32,
        a seventh in bfloat16.
        """
        before = self._slice(past, 0)[:, :-1] + self._slice(past, 1)[:, 1:]  # for each history frame, and the next one
        own, drafts = before[:, :-1], before[:, before.shape[1] - frames.drafts :]
        return self._slice(frames.tokens, 2) + (torch.cat([own, drafts], 1) if frames.drafts else own)

    def _slice(self, x: Tensor, index: int) -> Tensor:
        """Frames (b, t, n, d) convolved with one of the kernel's slices in time."""
        b, weight = x.shape[0], self.conv.weight[:, :, index]
        bias = self.conv.bias if index == 2 else None
        grid = rearrange(x, "b t (h w) d -> (b t) d h w", h=self.side)
        return rearrange(F.conv2d(grid, weight, bias, padding=1, groups=len(weight)), "(b t) d h w -> b t (h w) d", b=b)


class Attention(nn.Module):
    """Multi-head self-attention within each frame, or over time at each position of the grid."""

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
        """Let every token of x (b, t, n, d) attend to its own frame."""
        b = x.shape[0]
        q, k, v = rearrange(self.qkv(self.norm(x)), "b t n (c h e) -> c (b t) h n e", c=3, h=self.heads)
        return x + self.out(rearrange(_attend(q, k, v), "(b t) h n e -> b t n (h e)", b=b))

    def time(self, x: Tensor, bias: Tensor, history: int, memory: Memory, unused: int = 0) -> Tensor:
        """Let every token attend to its own position in other frames.

        Args:
            x: float (b, t, n, d).
            bias: Added to the attention scores, float (b or 1, h, t, keys); minus infinity hides a frame.
            history: How many of the frames are history.
            memory: Keys and values of earlier frames, and the number of the first new frame.
            unused: Number of first frames that are attended to but whose results nobody needs.

        Returns:
            float (b, t - unused, n, d).
        """
        b, n = x.shape[0], x.shape[2]
        qkv = rearrange(self.qkv(self.norm(x)), "b t n (c h e) -> c b n h t e", c=3, h=self.heads)
        keys_values = qkv[1:] if memory is None else memory[0].extend(qkv[1:], history, memory[1])
        bias = bias[:, :, unused:]
        if bias.shape[0] > 1:
            bias = repeat(bias, "b h t k -> (b n) h t k", n=n)
        q, keys, values = (rearrange(z, "b n h t e -> (b n) h t e") for z in (qkv[0, ..., unused:, :], *keys_values))
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

    Fused attention pads its queries: in bfloat16 it takes twice as long with 2 to 8 of them, half as long again with
    12, and is faster from 16 on. Its backward pass in bfloat16 does not use the CPU's instructions for it: it is ten
    times slower with 64 tokens a frame, twice with 256.
    """
    bfloat16 = q.dtype == torch.bfloat16
    backward = torch.is_grad_enabled() and bfloat16
    return q.device.type == "cpu" and (q.shape[2] <= (SHORT if bfloat16 else FEW) or backward)


class FeedForward(nn.Module):
    """A gated feed-forward layer (GEGLU, Shazeer 2020) on the tokens with the frame's action concatenated."""

    def __init__(self, dim: int, expansion: float, num_actions: int):
        super().__init__()
        hidden = int(dim * expansion)
        self.norm = nn.LayerNorm(dim)
        self.inner = nn.Linear(dim, 2 * hidden)
        # Linear(concat(x, a)) = W x + V a; a separate V spares copying the action to all n tokens of a frame.
        self.action = nn.Linear(num_actions, 2 * hidden, bias=False) if num_actions else None
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
    """Position encoding and attention in space, then over time, or in the other order, and feed-forward layers."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.time_first = config.time_first
        self.encoding = nn.ModuleList(PositionEncodingGenerator(config.dim, config.side) for _ in range(2))
        self.space = Attention(config.dim, config.heads)
        self.time = Attention(config.dim, config.heads)
        feed = (FeedForward(config.dim, config.expansion, config.num_actions) for _ in range(config.feed_forwards))
        self.feed = nn.ModuleList(feed)

    def forward(self, frames: Frames, bias: Tensor, memory: Memory, unused: int = 0) -> Tensor:
        """Return tokens (b, t - unused, n, d); the results of the first `unused` frames are not needed."""
        x, actions = frames.tokens, frames.actions
        for i in range(2):
            tail = x.new_zeros(x.shape[0], 2, *x.shape[2:]) if memory is None else memory[0].tails[i]
            x, newest = self.encoding[i](replace(frames, tokens=x), tail)
            if memory is not None and frames.history:
                tail.copy_(newest)
            drop = unused if i == 1 else 0  # after this, other frames need only keys and values of a frame
            in_time = (i == 0) == self.time_first
            x = self.time.time(x, bias, frames.history, memory, drop) if in_time else self.space.space(x[:, drop:])
            feed = i - 2 + len(self.feed)  # the last layer is at the end of the block
            if feed >= 0:
                x = self.feed[feed](x, None if actions is None else actions[:, drop:])
        return x


class SpaceTimeTransformer(nn.Module):
    """A stack of blocks over frames of tokens. The module's docstring explains history and drafts.

    Attributes:
        recompute: Whether activations are recomputed, see `recompute_activations`.
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
        """Run all blocks, and append the history frames to the cache if there is one.

        Args:
            frames: History and draft frames.
            cache: Cache of the frames before these; None if the clip begins with these frames.

        Returns:
            Normalised features of the drafts, float (b, drafts, n, d), or of the history if there are no drafts,
            float (b, t, n, d).
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
        """Return ALiBi penalties, minus infinity for hidden frames: float (b or 1, heads, t, keys)."""
        times, indices = frames.times(), torch.arange(frames.tokens.shape[1], device=self.slopes.device)
        key_times = times[None] if cache is None else cache.times(times, frames.history)  # (b or 1, keys)
        keys = key_times.shape[1]
        key_indices = torch.arange(keys, device=indices.device) - keys + len(times)  # the last keys are the drafts
        draft, key_draft = indices >= frames.history, key_indices >= frames.history
        age = times[None, :, None] - key_times[:, None, :]  # (b or 1, t, keys)
        # History attends to history up to itself; a draft to the history before it, and to itself.
        visible = (age >= draft[:, None].long()) & (age < self.config.window) & ~key_draft
        visible = visible | (key_draft & (indices[:, None] == key_indices))
        penalty = -self.slopes[:, None, None] * age[:, None].to(self.slopes.dtype)
        return penalty.masked_fill(~visible[:, None], float("-inf"))

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for `batch` clips on the device of the weights, in their precision or autocast's."""
        c = self.config
        return Cache.empty(batch, c.blocks, c.side**2, c.heads, c.dim, c.window, like=self.position)


def recompute_activations(module: nn.Module, on: bool = True) -> None:
    """Set whether the transformers in a module recompute the activations of their blocks in the backward pass.

    This spares memory in training and takes one more forward pass.
    """
    for part in module.modules():
        if isinstance(part, SpaceTimeTransformer):
            part.recompute = on


def history(tokens: Tensor, actions: Tensor | None = None) -> Frames:
    """Return frames that are all history, for the plain causal pass."""
    return Frames(tokens, tokens.shape[1], actions)


def with_drafts(tokens: Tensor, drafts: Tensor, actions: Tensor | None = None) -> Frames:
    """Return a history and drafts of the frames that follow its last m frames.

    Args:
        tokens: History, float (b, t, n, d).
        drafts: float (b, m, n, d), m <= t.
        actions: float (b, t + 1, num_actions), one-hot action that led to each frame of the history and to the next
            one.
    """
    t, m = tokens.shape[1], drafts.shape[1]
    actions = None if actions is None else torch.cat([actions[:, :t], actions[:, t + 1 - m :]], 1)
    return Frames(torch.cat([tokens, drafts], 1), t, actions)
