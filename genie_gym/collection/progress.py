"""How far a collection is."""

import time

from genie_gym.collection.plan import Plan
from genie_gym.utils.progress import ProgressDisplay

__all__ = ["CollectionProgress"]


class CollectionProgress:
    """Context manager that shows steps or episodes, whichever the target is given in, and frames per second."""

    def __init__(self, plan: Plan, shown: bool):
        self._plan, self._frames, self._steps = plan, 0, plan.steps
        unit, total = ("episodes", plan.episodes_wanted) if plan.episodes_wanted else ("steps", plan.steps_wanted)
        names = [target.job.game.name for target in plan.targets]
        title = names[0] if len(names) == 1 else f"{len(names)} games"
        self._display = ProgressDisplay(title, total, self._completed(), unit=unit, shown=shown)
        self._started = time.monotonic()

    def __enter__(self) -> "CollectionProgress":
        self._display.__enter__()
        self._started = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.__exit__(*exception)

    def advance(self, steps: int) -> None:
        """Show that workers took so many more steps, or, with 0, that an episode is stored."""
        self._frames += steps
        self._steps += steps
        rate = self._frames / max(time.monotonic() - self._started, 1e-9)
        self._display.update(self._completed(), f"{rate:,.0f} frames/s")

    def _completed(self) -> int:
        return self._plan.episodes if self._plan.episodes_wanted else self._steps
