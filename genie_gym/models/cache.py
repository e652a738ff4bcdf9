"""What a transformer remembers of the frames it has committed: keys and values of a window, and two convolution frames.

Shapes: b clips, n tokens a frame, h heads, e width of a head, d width of a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BlockCache", "Cache"]

SPARE = 2  # a step passes at most the frame before and a draft of the next


@dataclass
class BlockCache:
    """One block's memory.

    Attributes:
        keys, values: float (b, n, h, window + spare, e): a ring, frame number f in slot f % window, and spare room
            in which a pass lays its new frames beside the ring, sparing a copy of the whole ring at every pass.
        tails: two float (b, 2, n, d), the last two inputs of each position-encoding convolution.
        count: int64 (b,), frames committed before this pass; the same tensor in all blocks of a cache.
        window: slots of the ring.
    """

    keys: Tensor
    values: Tensor
    tails: list[Tensor]
    count: Tensor
    window: int

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ring and new keys and values side by side: each (b, n, h, window + t, e).

        The first `history` of the new are to be committed by `commit` after the attention.
        """
        new = keys.shape[3]
        if new > SPARE:  # a prompt
            return torch.cat([self.keys[..., : self.window, :], keys], 3), torch.cat(
                [self.values[..., : self.window, :], values], 3
            )
        stop = self.window + new
        self.keys[..., self.window : stop, :] = keys
        self.values[..., self.window : stop, :] = values
        return self.keys[..., :stop, :], self.values[..., :stop, :]

    def commit(self, keys: Tensor, values: Tensor, history: int) -> None:
        """Writes the first `history` new frames (b, n, h, t, e) into the ring."""
        rows = torch.arange(len(self.count), device=self.count.device)
        for i in range(max(0, history - self.window), history):
            slots = (self.count + i) % self.window
            self.keys[rows, :, :, slots] = keys[:, :, :, i]
            self.values[rows, :, :, slots] = values[:, :, :, i]


@dataclass
class Cache:
    """The memory of all blocks.

    Attributes:
        blocks: one entry a block.
        count: int64 (b,), frames committed so far in each clip.
    """

    blocks: list[BlockCache]
    count: Tensor

    @classmethod
    def empty(cls, batch: int, blocks: int, tokens: int, heads: int, dim: int, window: int, like: Tensor) -> "Cache":
        """Allocates room for `batch` clips; zeros are what the convolutions see before the first frame."""
        device = like.device
        count = torch.zeros(batch, dtype=torch.int64, device=device)
        # Under autocast keys and values come out of a matrix product in low precision; the residual stream does not.
        low = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else like.dtype

        def ring() -> Tensor:
            return torch.zeros(batch, tokens, heads, window + SPARE, dim // heads, dtype=low, device=device)

        def tail() -> Tensor:
            return torch.zeros(batch, 2, tokens, dim, dtype=like.dtype, device=device)

        return cls([BlockCache(ring(), ring(), [tail(), tail()], count, window) for _ in range(blocks)], count)

    def ages(self) -> Tensor:
        """Time of the frame in each slot relative to the next frame: int64 (b, window), -1 the newest.

        Slots that hold nothing yet are given an age beyond any window.
        """
        window = self.blocks[0].window
        slots = torch.arange(window, device=self.count.device)
        newest = self.count[:, None] - 1
        frame = newest - (newest - slots) % window  # the largest frame number <= newest that lies in this slot
        return torch.where(frame >= 0, frame - self.count[:, None], -(10**6))

    def put(self, rows: Tensor, other: "Cache") -> None:
        """Overwrites the given rows (int64 (k,)) with another cache of k clips."""
        self.count[rows] = other.count
        for mine, theirs in zip(self.blocks, other.blocks, strict=True):
            mine.keys[rows], mine.values[rows] = theirs.keys, theirs.values
            for i in range(2):
                mine.tails[i][rows] = theirs.tails[i]
