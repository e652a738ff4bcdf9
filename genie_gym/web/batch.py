"""Dreams of several visitors, stepped in one pass.

A dream that takes part in the passes of a batch lies in a row of its tensors. It gets a state of its own when it
leaves, so that visitors can come, pause and go at any moment. Nothing here is called by two threads at once.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from genie_gym.envs.engine import ImaginationEngine
from genie_gym.models.uncertainty import token_entropy
from genie_gym.utils.precision import autocast
from genie_gym.web.worlds import Loaded
from genie_gym.world_model import Outcome, RolloutState

__all__ = ["Batch", "Drawn", "Seat", "draw", "encode_png"]

FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


@dataclass
class Seat:
    """Where the state of a dream is.

    Attributes:
        state: Its own state, of one rollout; None while it is a row of a batch, or while there is none.
        batch: The batch whose row it is.
        upscale: Whether its frames are drawn by the upscaler.
        heat: Whether the uncertainty of its tokens is wanted.
        keep: Whether a copy of its state is wanted after the next step.
    """

    state: RolloutState | None = None
    batch: "Batch | None" = None
    upscale: bool = False
    heat: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Drawn:
    """One frame of a dream, and how it came about.

    Attributes:
        frame: uint8 (s, s, 3), in the model's own size.
        png: The frame as it is shown, as a PNG.
        reward: The game's reward that the model expects.
        end: Probability that the episode ended.
        ended: Whether it did.
        heat: Uncertainty of each token as a byte, row by row, 255 for complete; empty if not wanted.
        kept: The state after it, if wanted.
    """

    frame: np.ndarray
    png: bytes
    reward: float = 0.0
    end: float = 0.0
    ended: bool = False
    heat: bytes = b""
    kept: RolloutState | None = None


class Batch:
    """Dreams of one world with one temperature.

    Args:
        loaded: The world.
        temperature: Sampling temperature.

    Attributes:
        due: When the next pass is due, in seconds of the clock of the stage.
    """

    def __init__(self, loaded: Loaded, temperature: float):
        self.due = 0.0
        self._loaded = loaded
        self._sampling = replace(loaded.engine.sampling, temperature=temperature)
        self._seats: list[Seat] = []
        self._engine: ImaginationEngine | None = None

    def step(self, seats: list[Seat], actions: list[int]) -> list[Drawn]:
        """Take a step in some dreams, each its own action, in one pass."""
        here = [id(seat) for seat in self._seats if seat.batch is self]  # others have left, or gone back in time
        if self._engine is None or [id(seat) for seat in seats] != here or len(here) != len(self._seats):
            self._engine = self._seated(seats)
        outcome = self._engine.step(actions)
        return [
            replace(drawn, kept=self.state_of(seat) if seat.keep else None)
            for drawn, seat in zip(self._drawn(outcome, seats), seats, strict=True)
        ]

    def state_of(self, seat: Seat) -> RolloutState:
        """Return a copy of the state of a dream in this batch."""
        (row,) = (row for row, one in enumerate(self._seats) if one is seat)
        assert self._engine is not None
        return self._engine.rollouts.take(torch.tensor([row], device=self._engine.model.device))

    def _seated(self, seats: list[Seat]) -> ImaginationEngine:
        """Let dreams take part that may have a state of their own or lie in any batch; return their rollouts."""
        for seat in {id(one): one for one in (*self._seats, *seats)}.values():
            if seat.batch is not None:
                seat.state, seat.batch = seat.batch.state_of(seat), None
        states = [seat.state for seat in seats]
        engine = self._loaded.engine.of(_joined(self._loaded.engine, states))
        engine.sampling = self._sampling
        for seat in seats:
            seat.state, seat.batch = None, self
        self._seats = list(seats)
        return engine

    def _drawn(self, outcome: Outcome, seats: list[Seat]) -> list[Drawn]:
        columns = torch.stack([outcome.rewards, outcome.termination_prob, outcome.terminated.float()], 1).cpu()
        heat = _bytes_of(token_entropy(outcome.logits)) if any(seat.heat for seat in seats) else [b""] * len(seats)
        pictures = draw(self._loaded, outcome.frames, [seat.upscale for seat in seats])
        frames = outcome.frames.cpu().numpy()
        return [
            Drawn(frames[row], pictures[row], reward, end, ended > 0, heat[row] if seat.heat else b"")
            for row, (seat, (reward, end, ended)) in enumerate(zip(seats, columns.tolist(), strict=True))
        ]


def _joined(engine: ImaginationEngine, states: list[RolloutState | None]) -> RolloutState:
    """Return the states of single rollouts as one; that of one alone is used as it is, and so goes on exactly."""
    present = [state for state in states if state is not None]
    assert len(present) == len(states)
    if len(present) == 1:
        return present[0]
    whole = engine.model.empty_state(len(present))
    for row, state in enumerate(present):
        whole.put(torch.tensor([row], device=engine.model.device), state)
    return whole


def _bytes_of(entropies: torch.Tensor) -> list[bytes]:
    """Return entropies (b, n), from 0 to 2, as a byte each."""
    levels = (entropies * (255 / 2)).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return [row.tobytes() for row in levels]


def draw(loaded: Loaded, frames: torch.Tensor, upscale: list[bool]) -> list[bytes]:
    """Return frames uint8 (b, s, s, 3) as PNGs; those that ask for it are drawn by the upscaler, if there is one."""
    upscaler = loaded.checkpoint.upscaler
    shown = list(frames.cpu().numpy())
    rows = [row for row, wanted in enumerate(upscale) if wanted]
    if upscaler is not None and rows:
        model = loaded.engine.model
        with torch.inference_mode(), autocast(model.dtype, model.device):
            large = upscaler.upscale(frames[torch.tensor(rows, device=frames.device)]).cpu().numpy()
        for row, picture in zip(rows, large, strict=True):
            shown[row] = picture
    return [encode_png(picture) for picture in shown]


def encode_png(picture: np.ndarray) -> bytes:
    """Return a picture uint8 (h, w, 3), RGB, as a PNG."""
    _, content = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]), FAST_PNG)
    return content.tobytes()
