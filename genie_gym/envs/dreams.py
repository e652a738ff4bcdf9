"""N dreams as one batch: what WorldModelEnv (N = 1) and WorldModelVectorEnv share.

Each dream gets its prompt and its seed from its own random stream, and all its draws follow from that seed, so the same
seed gives the same dream whatever N is.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genie_gym.envs.prompt import Prompt
from genie_gym.errors import CheckpointError, ConfigError, InvalidActionError
from genie_gym.games import GameSpec
from genie_gym.models.uncertainty import token_entropy, top_mean
from genie_gym.models.upscaler import Upscaler
from genie_gym.precision import autocast
from genie_gym.world_model import Checkpoint, DreamState, Outcome
from genie_gym.world_model.weights import find_weights, load_weights

__all__ = ["REWARDS", "Dreams"]

REWARDS = ("game", "autoexplore")
RENDER_SCALE = 4  # 64 pixels are too few to look at
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class Dreams:
    """N dreams of one checkpoint.

    Args:
        count: N.
        game, checkpoint: what to dream of; see find_weights.
        device, precision, compile: where, in which precision and whether compiled; see load_weights.
        sampling_steps, temperature, order, floor: replace the checkpoint's own way of sampling; see Sampling.
        context: real frames a dream starts from, at most as many as the checkpoint keeps.
        ends: whether the dream may end; False leaves out what the end head says.
        reward: what a step is paid, see `paid`.
        upscale: whether frames are given as the checkpoint's upscaler draws them.
        buttons: actions are the real game's, each for the latent action that the checkpoint's button map has for it.

    Attributes:
        game: the game's description, of the checkpoint; with the real actions where there are buttons.
        size: side in pixels of a frame as the model, and a prompt, has it.
        scale: how many times as high and wide the frames are that it gives.
        zoom: how many times larger still `render()` shows them.
        unknown: bool (N,), on the device of the last step's actions: those that the game does not have. A step on a GPU
            takes another in their place; see `refuse`.
    """

    def __init__(
        self,
        count: int,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        sampling_steps: int | None = None,
        temperature: float | None = None,
        order: str | None = None,
        floor: float | None = None,
        context: int | None = None,
        ends: bool = True,
        reward: str = "game",
        upscale: bool = False,
        buttons: bool = False,
    ):
        if reward not in REWARDS:
            raise ConfigError(f"unknown reward {reward!r} of a dream; choose one of: {', '.join(REWARDS)}")
        place, _ = find_weights(game, checkpoint)
        loaded = load_weights(place, device, precision, compile)
        self.count, self.ends, self.reward = count, ends, reward
        self.model, self.starts = loaded.model, loaded.starts
        self.game, self._codes = _played(loaded, buttons)
        self.size = self.model.tokenizer.config.size
        self._upscaler = _find_upscaler(loaded, checkpoint) if upscale else None
        self.scale = self._upscaler.config.scale if self._upscaler else 1
        self.zoom = 1 if self._upscaler else RENDER_SCALE
        self.sampling = loaded.sampling.changed(steps=sampling_steps, temperature=temperature, order=order, floor=floor)
        self.context = _context(context, self.starts["frames"].shape[1])
        self.unknown = torch.zeros(count, dtype=torch.bool)
        self._state: DreamState | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Dreams":
        """Dreams that go on by themselves, of the same model: it does not change, and may be large."""
        memo |= {id(shared): shared for shared in (self.model, self.starts, self._upscaler)}
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__ = {name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()}
        return copied

    @property
    def started(self) -> bool:
        return self._state is not None

    def begin(self, rows: list[int], streams: list[np.random.Generator], prompts: list[Prompt | None]) -> torch.Tensor:
        """Starts the dreams in `rows` (ascending) again, each from its prompt, or from a piece of real play drawn from
        its stream; prompts are all of one length, or all None.

        Returns:
            uint8 (len(rows), s, s, 3) on the model's device, the newest frame of each as the model sees it; s is
            scale * size.

        Raises:
            ResetNeeded: only some are begun, of dreams of which none was begun before.
        """
        if not self.started and len(rows) < self.count:
            raise gym.error.ResetNeeded(f"call reset() first; only dreams {rows} of {self.count} were to begin")
        given = [prompt and self._in_codes(prompt) for prompt in prompts]
        chosen = [prompt or self._draw_start(stream) for prompt, stream in zip(given, streams, strict=True)]
        state, seen = self._start(chosen, np.array([stream.integers(2**63) for stream in streams]))
        if self._state is None or len(rows) == self.count:
            self._state = state
        else:
            self._state.put(torch.tensor(rows, device=self.model.device), state)
        return self._shown(seen)

    def step(self, actions: np.ndarray | torch.Tensor) -> Outcome:
        """Takes one action int64 (N,) in each dream.

        Raises:
            ResetNeeded: they have not begun.
            InvalidActionError: an action is not one of the game's; of actions on a GPU, only their number and type are
                looked at, and `unknown` tells the rest.
        """
        if self._state is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        outcome = self.model.step(self._state, self._codes[self._checked(actions)], self.sampling)
        ended = outcome.ended if self.ends else torch.zeros_like(outcome.ended)
        return replace(outcome, frames=self._shown(outcome.frames), ended=ended)

    @torch.no_grad()
    def paid(self, outcome: Outcome) -> torch.Tensor:
        """What a step is paid, float (N,): the game's reward as the model expects it, or with "autoexplore" how unsure
        the model was of the frame it drew, in [0, 2]: the mean entropy of the most uncertain quarter of its tokens.
        """
        return outcome.rewards if self.reward == "game" else top_mean(token_entropy(outcome.logits))

    def _shown(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames uint8 (n, size, size, 3) as they are given."""
        if self._upscaler is None:
            return frames
        with autocast(self.model.dtype, self.model.device):
            return self._upscaler.upscale(frames)

    def _checked(self, actions: np.ndarray | torch.Tensor) -> torch.Tensor:
        if isinstance(actions, torch.Tensor) and actions.is_cuda:
            whole, chosen = actions.dtype in WHOLE, actions.long()
        else:
            given = np.asarray(actions)
            whole = np.issubdtype(given.dtype, np.integer)
            chosen = torch.from_numpy(given.astype(np.int64)) if whole else torch.empty(0)
        if chosen.shape != (self.count,) or not whole:
            raise InvalidActionError(f"expected {self.count} integer action(s); got {actions!r}")
        known = chosen.clamp(0, len(self.game.actions) - 1)
        self.unknown = chosen != known
        if not chosen.is_cuda:  # looking at those on a GPU would wait for it
            self.refuse(self.unknown.numpy(), actions)
        return known

    def refuse(self, unknown: np.ndarray, actions: object) -> None:
        """Raises InvalidActionError where one of the actions is unknown, bool (N,)."""
        if unknown.any():
            named = ", ".join(f"{i} {name}" for i, name in enumerate(self.game.meanings))
            raise InvalidActionError(f"an action must be one of {named}; got {actions!r}")

    def _in_codes(self, prompt: Prompt) -> Prompt:
        """A prompt from outside, its actions as the model knows them."""
        frames, actions = prompt
        return frames, None if actions is None else self._codes.cpu().numpy()[actions]

    def _draw_start(self, stream: np.random.Generator) -> Prompt:
        frames, actions = self.starts["frames"], self.starts["actions"]
        index = int(stream.integers(len(frames)))
        return frames[index, -self.context :].numpy(), actions[index, actions.shape[1] - self.context + 1 :].numpy()

    def _start(self, prompts: list[Prompt], seeds: np.ndarray) -> tuple[DreamState, torch.Tensor]:
        frames = torch.from_numpy(np.stack([frames for frames, _ in prompts]))
        unknown = np.full(frames.shape[1] - 1, -1)
        actions = np.stack([unknown if actions is None else actions for _, actions in prompts])
        return self.model.start(frames, torch.from_numpy(actions), torch.from_numpy(seeds))


def _find_upscaler(loaded: Checkpoint, checkpoint: str | Path | None) -> Upscaler:
    if loaded.upscaler is None:
        game = loaded.game["name"]
        raise CheckpointError(
            f"upscale was asked for, but the checkpoint of {game} has no upscaler. Make one with: "
            f"genie-gym collect {game} --large && genie-gym fit-upscaler {checkpoint or game}; or leave upscale out"
        )
    return loaded.upscaler


def _played(loaded: Checkpoint, buttons: bool) -> tuple[GameSpec, torch.Tensor]:
    """The game as it is played, and what the model knows each of its actions as, int64 (actions,)."""
    if not buttons or loaded.model.latent_actions is None:
        spec = GameSpec.from_dict(loaded.game)
        return spec, torch.arange(len(spec.actions), device=loaded.model.device)
    known = loaded.find_buttons()
    return GameSpec.from_dict(loaded.game | {"actions": known.actions}), torch.tensor(
        known.codes, device=loaded.model.device
    )


def _context(asked: int | None, kept: int) -> int:
    if asked is None:
        return kept
    if not isinstance(asked, int) or not 1 <= asked <= kept:
        raise ConfigError(
            f"context must be a whole number in 1 .. {kept} (the checkpoint keeps {kept} frames a start); got {asked!r}"
        )
    return asked
