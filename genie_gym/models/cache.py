"""What a transformer remembers of the frames it has committed: keys and values of a window, and two convolution frames.

Shapes: b clips, n tokens a frame, h heads, e width of a head, d width of a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BlockCache", "Cache"]


@dataclass
class BlockCache:
    """One block's memory. Its tensors are only ever written into, so that a compiled step finds them where they were.

    Attributes:
        memory: float (2, b, n, h, window + 1, e), keys and values: a ring, frame number f in slot f % window, and a
            last slot in which a pass lays its draft beside the ring.
        tails: two float (b, 2, n, d), the last two inputs of each position-encoding convolution.
    """

    memory: Tensor
    tails: list[Tensor]

    def extend(self, new: Tensor, history: int, number: Tensor) -> Tensor:
        """Commits the first `history` of the new frames and returns what attention is to see.

        Args:
            new: float (2, b, n, h, t, e), keys and values of history and draft frames.
            history: how many of them are history.
            number: int64 (1,), the number of the first of them.

        Returns:
            float (2, b, n, h, keys, e), laid out as `Cache.times` says.
        """
        window = self.memory.shape[4] - 1
        new = new.to(self.memory.dtype)
        if history > 1:  # a prompt's first frames still see what its last ones replace
            seen = torch.cat([self.memory[..., :window, :], new], 4)
            kept = torch.arange(max(0, history - window), history, device=new.device)
            self.memory.index_copy_(4, (number + kept) % window, new[..., kept, :])
            return seen
        if history == 1:
            self.memory.index_copy_(4, number % window, new[..., :1, :])
        if new.shape[4] == history:
            return self.memory[..., :window, :]
        self.memory[..., window:, :] = new[..., history:, :]
        return self.memory


@dataclass
class Cache:
    """The memory of all blocks.

    Attributes:
        blocks: one entry a block.
        count: int64 (b,), frames committed so far in each clip.
        number: int64 (1,), the number of the next frame; the same in all clips, whenever they began, so that one slot
            is written for all of them.
    """

    blocks: list[BlockCache]
    count: Tensor
    number: Tensor

    @classmethod
    def empty(cls, batch: int, blocks: int, tokens: int, heads: int, dim: int, window: int, like: Tensor) -> "Cache":
        """Allocates room for `batch` clips; zeros are what the convolutions see before the first frame."""
        device = like.device
        # Under autocast keys and values come out of a matrix product in low precision; the residual stream does not.
        low = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else like.dtype

        def block() -> BlockCache:
            memory = torch.zeros(2, batch, tokens, heads, window + 1, dim // heads, dtype=low, device=device)
            tails = [torch.zeros(batch, 2, tokens, dim, dtype=like.dtype, device=device) for _ in range(2)]
            return BlockCache(memory, tails)

        count, number = (torch.zeros(size, dtype=torch.int64, device=device) for size in (batch, 1))
        return cls([block() for _ in range(blocks)], count, number)

    @property
    def window(self) -> int:
        """Slots of the ring."""
        return self.blocks[0].memory.shape[4] - 1

    def times(self, new: Tensor, history: int) -> Tensor:
        """When the frames that attention sees took place, relative to the first new one.

        Args:
            new: int64 (t,), times of history and draft frames, from 0 on.
            history: how many of them are history.

        Returns:
            int64 (b, keys), far in the past where a slot holds nothing: the ring, then new frames that are not in it:
            all of a prompt of several history frames, else the draft.
        """
        written = history if history <= 1 else 0  # a prompt is laid beside the ring
        newest = self.number + written - 1
        slots = torch.arange(self.window, device=self.count.device)
        ring = written - 1 - (newest - slots) % self.window  # (window,)
        ring = torch.where(ring >= -self.count[:, None], ring, -(10**6))
        return torch.cat([ring, new[written:].expand(len(ring), -1)], 1)

    def advance(self, history: int) -> None:
        """Counts frames as committed, after all blocks have."""
        self.count += history
        self.number += history

    def put(self, rows: Tensor, other: "Cache") -> None:
        """Overwrites the given rows (int64 (k,)) with another cache of k clips."""
        self.count[rows] = other.count
        slots = torch.arange(self.window, device=self.count.device)
        theirs_of_mine = (slots - self.number + other.number) % self.window  # its newest frame to before our next
        for mine, theirs in zip(self.blocks, other.blocks, strict=True):
            mine.memory[:, rows, :, :, : self.window] = theirs.memory[..., theirs_of_mine, :]
            for i in range(2):
                mine.tails[i][rows] = theirs.tails[i]
