"""What a reward remembers of each environment: its last frames and the actions between them.

Shapes: N environments, w frames a window, s side of a frame in pixels.
"""

import numpy as np

__all__ = ["FrameMemory"]


class FrameMemory:
    """The last w frames and w - 1 actions of N environments that step together, as a ring in numpy.

    A step comes in two parts, since a reward may be asked for between them: `act` when the actions are chosen, `see`
    when the frames they led to are there.

    Args:
        count: N.
        window: w.
        shape: of a frame, (s, s, 3).

    >>> memory = FrameMemory(2, window=3, shape=(4, 4, 3))
    >>> memory.begin(np.zeros((2, 4, 4, 3), np.uint8))
    >>> for action in (1, 2):
    ...     memory.act(np.array([action, action]))
    ...     memory.see(np.full((2, 4, 4, 3), action, np.uint8))
    >>> memory.ready, memory.frames()[0, :, 0, 0, 0], memory.actions()[0]
    (array([ True,  True]), array([0, 1, 2], dtype=uint8), array([1, 2]))
    """

    def __init__(self, count: int, window: int, shape: tuple[int, ...]):
        self.window = window
        self._frames = np.zeros((count, window, *shape), np.uint8)
        self._led = np.zeros((count, window), np.int64)  # the action that led to the frame in each slot
        self._newest = 0  # the slot of the newest frame, the same in all rows
        self._seen = np.zeros(count, np.int64)  # frames of this episode, that of the step begun included

    def begin(self, frames: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Starts the episodes of some rows (indices or bool (N,); None for all) at frames uint8 (rows, s, s, 3)."""
        chosen = slice(None) if rows is None else rows
        self._frames[chosen, self._newest] = frames
        self._seen[chosen] = 1

    def act(self, actions: np.ndarray) -> None:
        """Begins a step with actions int (N,); until `see`, the newest frame is not to be looked at."""
        self._newest = (self._newest + 1) % self.window
        self._led[:, self._newest] = actions
        self._seen += 1

    def see(self, frames: np.ndarray) -> None:
        """Ends a step: frames uint8 (N, s, s, 3), where an episode ended its last and not the first of the next."""
        self._frames[:, self._newest] = frames

    @property
    def ready(self) -> np.ndarray:
        """Which rows have a whole window of this episode: bool (N,)."""
        return self._seen >= self.window

    def frames(self, rows: np.ndarray | None = None, count: int | None = None) -> np.ndarray:
        """The `count` oldest frames (None for all) of the rows' windows, oldest first: uint8 (rows, count, s, s, 3)."""
        slots = self._order()[:count]
        return self._frames[:, slots] if rows is None else self._frames[np.ix_(rows, slots)]

    def actions(self, rows: np.ndarray | None = None) -> np.ndarray:
        """The actions between the windows' frames, oldest first: int64 (rows, w - 1)."""
        slots = self._order()[1:]
        return self._led[:, slots] if rows is None else self._led[np.ix_(rows, slots)]

    def _order(self) -> np.ndarray:
        """Slots, oldest first."""
        return (self._newest + 1 + np.arange(self.window)) % self.window
