"""What the convolutional dynamics keep of the frames before a prediction.

Shapes: b rollouts, h frames and l actions of history that a prediction sees, j motions of the camera, n tokens a frame,
side tokens along one edge, c width of a code, w width of the features, r of the memory.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FrameCache"]


@dataclass
class FrameCache:
    """The last frames of b rollouts, and what the network made of them. Tensors are written into, never replaced.

    Attributes:
        tokens: int64 (b, h, n), oldest first.
        hidden: bool (b, h), frames that are masked or before the first; their tokens are those of the frame before.
        actions: int64 (b, l), the last actions, oldest first; the last h led to those frames.
        count: int64 (b,), frames appended so far.
        memory: float (b, r, side, side), after the newest frame.
        camera: float (b, j, 3), the camera's motion in the last steps, oldest first, see `matches`.
        lag: float (b, 2), how far the newest frame stays behind what was meant, see `lagging`.
        meant: float (b, 3), that of the frame last predicted, which is not appended yet.
        context: float (b, w, side, side), of the newest action.
        guess: float (b, n, c), the encoding of the guessed next frame.
    """

    tokens: Tensor
    hidden: Tensor
    actions: Tensor
    count: Tensor
    memory: Tensor
    camera: Tensor
    lag: Tensor
    meant: Tensor
    context: Tensor
    guess: Tensor

    def append(self, tokens: Tensor, hidden: Tensor, actions: Tensor) -> None:
        """Append a frame: tokens int64 (b, n), hidden bool (b,), actions int64 (b,)."""
        kept = torch.where(hidden[:, None], self.tokens[:, -1], tokens)
        first = (self.count == 0)[:, None, None]  # before the first frame there is only itself
        self.tokens.copy_(torch.cat([torch.where(first, kept[:, None], self.tokens[:, 1:]), kept[:, None]], 1))
        self.hidden.copy_(torch.cat([self.hidden[:, 1:], hidden[:, None]], 1))
        self.actions.copy_(torch.cat([self.actions[:, 1:], actions[:, None]], 1))
        self.count += 1

    def put(self, rows: Tensor, other: "FrameCache") -> None:
        """Overwrite the given rows, int64 (k,), with another cache of k rollouts."""
        for name, mine in vars(self).items():
            mine[rows] = getattr(other, name)

    def take(self, rows: Tensor) -> "FrameCache":
        """Return a cache of the given rows, int64 (k,), each as often as it is named; it shares no memory with this."""
        return FrameCache(**{name: mine.index_select(0, rows) for name, mine in vars(self).items()})

    def recent_motion(self, count: int) -> Tensor:
        """The camera's motion (b, count, 3) that led to the frames in the cache and to the one last predicted."""
        motions = torch.cat([self.camera, self.meant[:, None]], 1)[:, -count:]
        return F.pad(motions, (0, 0, count - motions.shape[1], 0))
