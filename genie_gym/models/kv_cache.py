"""The cache of a transformer: keys and values of the frames in its window, and the inputs of its convolutions.

Shapes: b clips, n tokens a frame, h heads, e width of a head, d width of a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BlockCache", "Cache", "NoCache"]


@dataclass
class BlockCache:
    """The cache of one block. Its tensors are only written into, never replaced, as a compiled step requires.

    Attributes:
        memory: Keys and values, float (2, b, n, h, window + 1, e): a ring buffer, frame number f in slot f % window,
            and a last slot for the draft of a pass.
        tails: Two float (b, 2, n, d), the last two inputs of each position-encoding convolution.
    """

    memory: Tensor
    tails: list[Tensor]

    def extend(self, new: Tensor, history: int, number: Tensor) -> Tensor:
        """Append the first `history` of the new frames and return the keys and values to attend to.

        Args:
            new: Keys and values of history and draft frames, float (2, b, n, h, t, e).
            history: How many of them are history.
            number: Number of the first of them, int64 (1,).

        Returns:
            float (2, b, n, h, keys, e), in the order of `Cache.times`.
        """
        window = self.memory.shape[4] - 1
        new = new.to(self.memory.dtype)
        if history > 1:  # the first of several frames still attend to what the last ones replace
            extended = torch.cat([self.memory[..., :window, :], new], 4)
            kept = torch.arange(max(0, history - window), history, device=new.device)
            self.memory.index_copy_(4, (number + kept) % window, new[..., kept, :])
            return extended
        if history == 1:
            self.memory.index_copy_(4, number % window, new[..., :1, :])
        if new.shape[4] == history:
            return self.memory[..., :window, :]
        self.memory[..., window:, :] = new[..., history:, :]
        return self.memory

    def take(self, rows: Tensor) -> "BlockCache":
        """Return a copy of the given rows, int64 (k,); see `Cache.take`."""
        return BlockCache(self.memory.index_select(1, rows), [tail.index_select(0, rows) for tail in self.tails])


@dataclass
class Cache:
    """The cache of all blocks.

    Attributes:
        blocks: One entry for each block.
        count: Frames appended so far in each clip, int64 (b,).
        number: Number of the next frame, int64 (1,); the same in all clips, whenever they started, so that the same
            slot is written in all of them.
    """

    blocks: list[BlockCache]
    count: Tensor
    number: Tensor

    @classmethod
    def empty(cls, batch: int, blocks: int, tokens: int, heads: int, dim: int, window: int, like: Tensor) -> "Cache":
        """Return an empty cache for `batch` clips; before the first frame the convolutions read zeros."""
        device = like.device
        # Under autocast keys and values, results of a matrix product, have low precision; the residual stream has not.
        low = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else like.dtype

        def block() -> BlockCache:
            memory = torch.zeros(2, batch, tokens, heads, window + 1, dim // heads, dtype=low, device=device)
            tails = [torch.zeros(batch, 2, tokens, dim, dtype=like.dtype, device=device) for _ in range(2)]
            return BlockCache(memory, tails)

        count, number = (torch.zeros(size, dtype=torch.int64, device=device) for size in (batch, 1))
        return cls([block() for _ in range(blocks)], count, number)

    @property
    def window(self) -> int:
        """Number of slots of the ring buffer."""
        return self.blocks[0].memory.shape[4] - 1

    def times(self, new: Tensor, history: int) -> Tensor:
        """Return the times of the frames to attend to, relative to the first new one.

        Args:
            new: Times of history and draft frames, int64 (t,), from 0 on.
            history: How many of them are history.

        Returns:
            int64 (b, keys), far in the past for empty slots: the ring buffer, then the new frames that are not in it:
            all of them if there are several history frames, else the draft.
        """
        written = history if history <= 1 else 0  # several frames are appended only after the pass
        newest = self.number + written - 1
        slots = torch.arange(self.window, device=self.count.device)
        ring = written - 1 - (newest - slots) % self.window  # (window,)
        ring = torch.where(ring >= -self.count[:, None], ring, -(10**6))
        return torch.cat([ring, new[written:].expand(len(ring), -1)], 1)

    def advance(self, history: int) -> None:
        """Count frames as appended, after all blocks have appended them."""
        self.count += history
        self.number += history

    def put(self, rows: Tensor, other: "Cache") -> None:
        """Overwrite the given rows, int64 (k,), with another cache of k clips."""
        self.count[rows] = other.count
        slots = torch.arange(self.window, device=self.count.device)
        sources = (slots - self.number + other.number) % self.window  # the other's newest frame goes before our next
        for mine, theirs in zip(self.blocks, other.blocks, strict=True):
            mine.memory[:, rows, :, :, : self.window] = theirs.memory[..., sources, :]
            for i in range(2):
                mine.tails[i][rows] = theirs.tails[i]

    def take(self, rows: Tensor) -> "Cache":
        """Return a cache of the given rows, int64 (k,), each as often as it is named; it shares no memory with this."""
        return Cache([block.take(rows) for block in self.blocks], self.count[rows], self.number.clone())


@dataclass
class NoCache:
    """The cache of a model that looks at no earlier frame."""

    def put(self, rows: Tensor, other: "NoCache") -> None:
        """Do nothing: there is nothing to overwrite."""

    def take(self, rows: Tensor) -> "NoCache":
        """Return another one: there is nothing to copy."""
        return NoCache()
