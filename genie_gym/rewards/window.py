"""The most recent frames and actions of several environments.

Shapes: N environments, w frames per window, s side of a frame in pixels.
"""

import numpy as np

__all__ = ["FrameWindow"]


class FrameWindow:
    """The last w frames and w - 1 actions of N environments that step together, in NumPy ring buffers.

    A step has two parts, because a reward may be needed between them: `on_action` when the actions are chosen, and
    `observe` when the resulting frames are available.

    Args:
        num_envs: Number of environments N.
        window: Number of frames w.
        shape: Shape of a frame, (s, s, 3).

    >>> memory = FrameWindow(2, window=3, shape=(4, 4, 3))
    >>> memory.reset(np.zeros((2, 4, 4, 3), np.uint8))
    >>> for action in (1, 2):
    ...     memory.on_action(np.array([action, action]))
    ...     memory.observe(np.full((2, 4, 4, 3), action, np.uint8))
    >>> memory.ready, memory.frames()[0, :, 0, 0, 0], memory.actions()[0]
    (array([ True,  True]), array([0, 1, 2], dtype=uint8), array([1, 2]))
    """

    def __init__(self, num_envs: int, window: int, shape: tuple[int, ...]):
        self.window = window
        self._frames = np.zeros((num_envs, window, *shape), np.uint8)
        self._prev_actions = np.zeros((num_envs, window), np.int64)  # the action that led to the frame in each slot
        self._newest = 0  # slot of the newest frame, the same in all rows
        self._lengths = np.zeros(num_envs, np.int64)  # frames of the current episode, including the one to come

    def reset(self, frames: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Start new episodes in some rows.

        Args:
            frames: First frames, uint8 (rows, s, s, 3).
            rows: Indices or bool (N,); None for all.
        """
        chosen = slice(None) if rows is None else rows
        self._frames[chosen, self._newest] = frames
        self._lengths[chosen] = 1

    def on_action(self, actions: np.ndarray) -> None:
        """Begin a step with actions int (N,). The newest frame is undefined until `observe`."""
        self._newest = (self._newest + 1) % self.window
        self._prev_actions[:, self._newest] = actions
        self._lengths += 1

    def observe(self, frames: np.ndarray) -> None:
        """End a step.

        Args:
            frames: Uint8 (N, s, s, 3). Where an episode ended, its last frame and not the first of the next episode.
        """
        self._frames[:, self._newest] = frames

    @property
    def ready(self) -> np.ndarray:
        """Rows whose current episode fills a whole window, bool (N,)."""
        return self._lengths >= self.window

    def frames(self, rows: np.ndarray | None = None, count: int | None = None) -> np.ndarray:
        """Return the oldest frames of the windows, oldest first.

        Args:
            rows: Indices of rows; None for all.
            count: Number of frames per window; None for all w.

        Returns:
            Uint8 (rows, count, s, s, 3).
        """
        slots = self._slots()[:count]
        return self._frames[:, slots] if rows is None else self._frames[np.ix_(rows, slots)]

    def actions(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the actions between the windows' frames, oldest first, int64 (rows, w - 1)."""
        slots = self._slots()[1:]
        return self._prev_actions[:, slots] if rows is None else self._prev_actions[np.ix_(rows, slots)]

    def _slots(self) -> np.ndarray:
        """Return the slots of the window, oldest first."""
        return (self._newest + 1 + np.arange(self.window)) % self.window
