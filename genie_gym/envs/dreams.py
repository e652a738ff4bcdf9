"""N dreams as one batch: what WorldModelEnv (N = 1) and WorldModelVectorEnv share.

Each dream has its own random stream and draws from it what it alone uses, so the same seed gives the same dream
whatever N is.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genie_gym.envs.prompt import Prompt
from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.games import GameSpec
from genie_gym.world_model import DreamState, Sampling
from genie_gym.world_model.weights import find_weights, load_weights

__all__ = ["Dreams", "Step"]


class Step:
    """What one step brought to N dreams: frames uint8 (N, s, s, 3), rewards float64 (N,), ended bool (N,), and the
    probability float32 (N,) with which each end was drawn."""

    def __init__(self, frames: np.ndarray, rewards: np.ndarray, ended: np.ndarray, end_probability: np.ndarray):
        self.frames, self.rewards, self.ended, self.end_probability = frames, rewards, ended, end_probability


class Dreams:
    """N dreams of one checkpoint.

    Args:
        count: N.
        game, checkpoint: what to dream of; see find_weights.
        device, precision: where and in which precision; see load_weights.
        sampling_steps, temperature, order, floor: replace the checkpoint's own way of sampling; see Sampling.
        context: real frames a dream starts from, at most as many as the checkpoint keeps.
        ends: whether the dream may end; False leaves out what the end head says.

    Attributes:
        game: the game's description, of the checkpoint.
        size: side of a frame in pixels.
    """

    def __init__(
        self,
        count: int,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        sampling_steps: int | None = None,
        temperature: float | None = None,
        order: str | None = None,
        floor: float | None = None,
        context: int | None = None,
        ends: bool = True,
    ):
        place, _ = find_weights(game, checkpoint)
        loaded = load_weights(place, device, precision)
        self.count, self.ends = count, ends
        self.model, self.starts = loaded.model, loaded.starts
        self.game = GameSpec.from_dict(loaded.game)
        self.size = self.model.tokenizer.config.size
        self.sampling = _replaced(
            loaded.sampling, steps=sampling_steps, temperature=temperature, order=order, floor=floor
        )
        self.context = _context(context, self.starts["frames"].shape[1])
        self._state: DreamState | None = None

    @property
    def started(self) -> bool:
        return self._state is not None

    def begin(self, rows: list[int], streams: list[np.random.Generator], prompts: list[Prompt | None]) -> np.ndarray:
        """Starts the dreams in `rows` again, each from its prompt, or from a piece of real play drawn from its stream.

        Returns:
            uint8 (len(rows), s, s, 3), the newest frame of each as the model sees it.
        """
        chosen = [prompt or self._draw_start(stream) for prompt, stream in zip(prompts, streams, strict=True)]
        frames = np.empty((len(rows), self.size, self.size, 3), np.uint8)
        for alike in _alike(chosen):  # prompts of equal length are one batch
            state, seen = self._start([chosen[i] for i in alike])
            self._put([rows[i] for i in alike], state)
            frames[alike] = seen
        return frames

    def step(self, actions: np.ndarray, streams: list[np.random.Generator | None]) -> Step:
        """Takes one action int64 (N,) in each dream; a dream without a stream is moved too, to be begun anew."""
        if self._state is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        actions = self._checked(actions)
        noise = np.zeros((self.count, self.sampling.steps, 2, self.model.tokens), np.float32)
        chance = np.ones(self.count, np.float32)
        for row, stream in enumerate(streams):
            if stream is not None:
                stream.random(out=noise[row], dtype=np.float32)
                chance[row] = stream.random(dtype=np.float32)
        outcome = self.model.step(self._state, torch.from_numpy(actions), torch.from_numpy(noise), self.sampling)
        end = outcome.ends.cpu().numpy()
        ended = (chance < end) if self.ends else np.zeros(self.count, bool)
        return Step(outcome.frames.cpu().numpy(), outcome.rewards.double().cpu().numpy(), ended, end)

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        taken, number = np.asarray(actions), len(self.game.actions)
        if taken.shape != (self.count,) or not np.issubdtype(taken.dtype, np.integer):
            raise InvalidActionError(f"expected {self.count} integer action(s); got {actions!r}")
        if taken.min() < 0 or taken.max() >= number:
            named = ", ".join(f"{i} {name}" for i, name in enumerate(self.game.meanings))
            raise InvalidActionError(f"an action must be one of {named}; got {actions!r}")
        return taken.astype(np.int64)

    def _draw_start(self, stream: np.random.Generator) -> Prompt:
        frames, actions = self.starts["frames"], self.starts["actions"]
        index = int(stream.integers(len(frames)))
        return frames[index, -self.context :].numpy(), actions[index, actions.shape[1] - self.context + 1 :].numpy()

    def _start(self, prompts: list[Prompt]) -> tuple[DreamState, np.ndarray]:
        frames = torch.from_numpy(np.stack([frames for frames, _ in prompts]))
        unknown = np.full(frames.shape[1] - 1, -1)
        actions = np.stack([unknown if actions is None else actions for _, actions in prompts])
        state, seen = self.model.start(frames, torch.from_numpy(actions))
        return state, seen.cpu().numpy()

    def _put(self, rows: list[int], state: DreamState) -> None:
        if rows == list(range(self.count)):
            self._state = state
            return
        if self._state is None:  # the first rows to be begun make room for all
            blank = np.zeros((1, self.size, self.size, 3), np.uint8)
            self._state, _ = self._start([(blank, None)] * self.count)
        self._state.put(torch.tensor(rows, device=self.model.device), state)


def _replaced(sampling: Sampling, **changes: Any) -> Sampling:
    return replace(sampling, **{name: value for name, value in changes.items() if value is not None})


def _context(asked: int | None, kept: int) -> int:
    if asked is None:
        return kept
    if not 1 <= asked <= kept:
        raise ConfigError(f"context must lie in 1 .. {kept} (the checkpoint keeps {kept} frames a start); got {asked}")
    return asked


def _alike(prompts: list[Prompt]) -> list[list[int]]:
    """Indices of prompts, grouped by their number of frames."""
    groups: dict[int, list[int]] = {}
    for i, (frames, _) in enumerate(prompts):
        groups.setdefault(len(frames), []).append(i)
    return list(groups.values())
