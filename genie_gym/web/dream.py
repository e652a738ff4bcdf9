"""The dream of one visitor: its past, to which it can go back, and all steps that led to it."""

from bisect import bisect_right
from copy import copy
from dataclasses import dataclass, field, replace

from gymnasium.utils.seeding import np_random

from genie_gym.envs.prompt import Prompt
from genie_gym.envs.state import tensors_of
from genie_gym.utils.device import outside_inference_mode
from genie_gym.web.batch import Batch, Drawn, Seat, draw
from genie_gym.web.protocol import Taken
from genie_gym.web.worlds import Loaded
from genie_gym.world_model import RolloutState

__all__ = ["Dream"]

EVERY = 8  # steps between kept states: what lies between is dreamt again when play goes on from there
MOST_KEPT, MOST_BYTES = 24, 96 * 2**20  # kept states of one dream: thirteen seconds at most


@dataclass
class Dream:
    """A dream that is played.

    Attributes:
        loaded: Its world.
        seat: Its state.
        first: What it began with, shown as frame 0.
        taken: All steps since.
        shown: The frame after each step that it can go back to, by the number of the step.
    """

    loaded: Loaded
    seat: Seat
    first: Drawn
    taken: list[Taken] = field(default_factory=list)
    shown: dict[int, Drawn] = field(default_factory=dict)
    _kept: dict[int, RolloutState] = field(default_factory=dict)  # ascending

    @classmethod
    @outside_inference_mode()
    def begin(cls, loaded: Loaded, seed: int, prompt: Prompt | None, upscale: bool) -> "Dream":
        """Start a dream as WorldModelEnv does with that seed and prompt.

        Args:
            loaded: Its world.
            seed: Random seed.
            prompt: What it begins from; one of the checkpoint's own beginnings by default.
            upscale: Whether the upscaler draws its frames.
        """
        engine = copy(loaded.engine)  # which has not begun
        frames = engine.reset([0], [np_random(seed)[0]], [prompt])
        state = engine.rollouts
        (png,) = draw(loaded, frames, [upscale])
        first = Drawn(frames[0].cpu().numpy(), png)
        dream = cls(loaded, Seat(state, upscale=upscale), first)
        dream.shown[0] = first
        dream._kept[0] = _copy(state)
        return dream

    @property
    def length(self) -> int:
        """Steps taken."""
        return len(self.taken)

    @property
    def oldest(self) -> int:
        """The earliest step to which it can go back."""
        return next(iter(self._kept))

    def prepare(self) -> None:
        """Make ready for a step: let its state be kept if it is due, and dream again what a rewind left out."""
        if self.seat.state is None and self.seat.batch is None:
            self.seat.state = self._dreamt_again()
        self.seat.keep = (self.length + 1) % EVERY == 0

    def took(self, taken: Taken, drawn: Drawn) -> None:
        """Note a step and its frame."""
        self.taken.append(taken)
        self.shown[self.length] = replace(drawn, kept=None)
        if drawn.kept is not None:
            self._kept[self.length] = drawn.kept
            size = sum(value.nbytes for _, value in tensors_of(drawn.kept))
            while len(self._kept) > max(2, min(MOST_KEPT, MOST_BYTES // size)):
                del self._kept[self.oldest]
            for step in range(min(self.shown), self.oldest):
                del self.shown[step]

    def rewind(self, steps: int) -> Drawn:
        """Go back by some steps, as far as the past is kept; return the frame there."""
        target = max(self.length - steps, self.oldest)
        for step in range(target + 1, self.length + 1):
            self.shown.pop(step, None)
            self._kept.pop(step, None)
        if target < self.length:
            del self.taken[target:]
            self.seat.state = self.seat.batch = None
        return self.shown[target]

    def _dreamt_again(self) -> RolloutState:
        """Return the state of now, from the last one kept before."""
        times = list(self._kept)
        start = times[bisect_right(times, self.length) - 1]
        seat = Seat(_copy(self._kept[start]))
        temperature: float | None = None
        for taken in self.taken[start:]:
            if taken.temperature != temperature:
                batch, temperature = Batch(self.loaded, taken.temperature), taken.temperature
            batch.step([seat], [taken.action])
        return seat.state if seat.batch is None else seat.batch.state_of(seat)  # type: ignore[return-value]


def _copy(state: RolloutState) -> RolloutState:
    return state.take(state.actions.new_zeros(1))
