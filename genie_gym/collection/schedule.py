"""Which episodes a collection consists of: numbered ones, and the same whatever the number of workers."""

from collections.abc import Mapping

__all__ = ["Schedule"]


class Schedule:
    """The episodes to collect, of which some are stored, some are being played, and some are yet to be begun.

    Episodes are numbered from 0, and each depends on its number only. A number of episodes n means episodes 0 to n - 1.
    A number of steps means episodes 0 to k, where k is the first number at which they have that many steps together.
    While k is unknown, workers play on beyond what is sure to belong, and what does not is dropped.

    Args:
        stored: Number of steps of each episode that is stored already, by its number.
        max_steps: Maximum length of an episode in steps.
        steps: Number of steps to collect.
        episodes: Number of episodes to collect, in place of steps.
    """

    def __init__(self, stored: Mapping[int, int], max_steps: int, steps: int | None, episodes: int | None = None):
        self._lengths, self._max_steps = dict(stored), max_steps
        self._steps_wanted, self._episodes_wanted = steps, episodes
        self._unstored: set[int] = set()  # played, but not stored
        self._lost: set[int] = set()  # begun by a worker that died, to be begun again
        self._next = 0
        self._sums = [0]  # steps of episodes 0 to i - 1, for each i up to the first whose length is unknown
        self._extend()

    def complete(self) -> bool:
        """Return whether all episodes of the collection are stored."""
        return self._reached() and not any(index < len(self._sums) - 1 for index in self._unstored)

    def begin(self, sure: bool = False) -> int | None:
        """Return the number of the next episode to play, or None if there is no more.

        Args:
            sure: Only return one that is sure to belong to the collection.
        """
        while self._next in self._lengths:
            self._next += 1
        index = min(self._lost, default=self._next)
        belongs = self.belongs(index)
        if belongs is False or (sure and belongs is None):
            return None
        if index in self._lost:
            self._lost.remove(index)
        else:
            self._next += 1
        return index

    def lost(self, index: int) -> None:
        """Tell that whoever had begun an episode died before it was stored: it is to be begun again."""
        self._lost.add(index)

    def played(self, index: int, steps: int) -> None:
        """Tell the length of an episode that was played."""
        self._lengths[index] = steps
        self._unstored.add(index)
        self._extend()

    def stored(self, index: int) -> None:
        """Tell that an episode that was played is stored."""
        self._unstored.discard(index)

    def belongs(self, index: int) -> bool | None:
        """Return whether an episode is part of the collection; None until episodes before it have ended."""
        if self._episodes_wanted is not None:
            return index < self._episodes_wanted
        assert self._steps_wanted is not None
        if index < len(self._sums):
            return self._sums[index] < self._steps_wanted
        before = range(len(self._sums) - 1, index)
        least = self._sums[-1] + sum(self._lengths.get(one, 1) for one in before)
        most = self._sums[-1] + sum(self._lengths.get(one, self._max_steps) for one in before)
        if most < self._steps_wanted:
            return True
        return False if least >= self._steps_wanted else None

    def _extend(self) -> None:
        while not self._reached() and (last := len(self._sums) - 1) in self._lengths:
            self._sums.append(self._sums[-1] + self._lengths[last])

    def _reached(self) -> bool:
        if self._episodes_wanted is not None:
            return len(self._sums) > self._episodes_wanted
        assert self._steps_wanted is not None
        return self._sums[-1] >= self._steps_wanted
