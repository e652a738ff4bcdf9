"""N imagined rollouts as one batch: what WorldModelEnv (N = 1) and WorldModelVectorEnv share.

Each rollout gets its initial context and its seed from its own random stream, and all its samples follow from that
seed, so the same seed gives the same rollout whatever N is.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genie_gym.envs.config import WorldModelEnvConfig
from genie_gym.envs.prompt import Prompt
from genie_gym.errors import CheckpointError, ClosedError, ConfigError, InvalidActionError, PromptError
from genie_gym.games import GameSpec
from genie_gym.models.kv_cache import NoCache
from genie_gym.models.uncertainty import token_entropy, top_mean
from genie_gym.models.upscaler import Upscaler
from genie_gym.utils.device import outside_inference_mode
from genie_gym.utils.precision import autocast
from genie_gym.utils.validation import check_action_map, short
from genie_gym.world_model import Checkpoint, Outcome, RolloutState
from genie_gym.world_model.resolve import load_checkpoint

__all__ = ["ImaginationEngine", "LookAhead"]

RENDER_SCALE = 4  # 64 pixels are too few to look at
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


@dataclass(frozen=True)
class LookAhead:
    """What k plans of h actions would bring, step by step.

    Attributes:
        rewards: float32 (k, h), as `step` gives them; 0 after an end.
        game_rewards: float32 (k, h), the game's reward whatever the environment's is, likewise.
        termination_prob: float32 (k, h), probability that the step ends the episode, likewise.
        terminated: bool (k, h), whether the episode ends in this step.
    """

    rewards: np.ndarray
    game_rewards: np.ndarray
    termination_prob: np.ndarray
    terminated: np.ndarray

    def __post_init__(self) -> None:
        ends = self.terminated.cumsum(1)
        over = ends - self.terminated > 0  # an end came before
        for values in (self.rewards, self.game_rewards, self.termination_prob, self.terminated):
            values[over] = 0


class ImaginationEngine:
    """N imagined rollouts of one checkpoint.

    Args:
        count: Number of rollouts, N.
        config: Checkpoint, device, sampling and what a step gives.

    Attributes:
        game: The checkpoint's description of the game; its actions are the real ones with `config.real_actions`, and
            one for each of the user's with `config.action_map`.
        size: Side in pixels of the model's frames, and of prompts.
        scale: Factor by which the frames that it gives are higher and wider than that.
        zoom: Factor by which `render()` enlarges them further.
        model_actions: int64 (a,), the model's action for each of the game's.
        closed: Whether `close` has been called.

    Raises:
        CheckpointError, GameError, ConfigError: See the message.
    """

    @outside_inference_mode()
    def __init__(self, count: int, config: WorldModelEnvConfig):
        options = config.device, config.precision, config.compile
        loaded = load_checkpoint(config.checkpoint, *options, game=config.game, whole=True)
        self.count, self.terminate, self.reward = count, config.terminate, config.reward
        self.model, self.initial_contexts = loaded.model, loaded.initial_contexts
        self.game, self.model_actions = _actions_of(loaded, config.real_actions, config.action_map)
        self.size = self.model.tokenizer.config.size
        self._upscaler = _require_upscaler(loaded, config.checkpoint) if config.upscale else None
        self.scale = self._upscaler.config.scale if self._upscaler else 1
        self.zoom = 1 if self._upscaler else RENDER_SCALE
        self.sampling = loaded.sampling.with_overrides(config)
        if self.sampling.steps > self.model.tokens:
            raise ConfigError(
                f"sampling_steps must be {self.model.tokens} or less, one for each token of a frame; "
                f"got {self.sampling.steps}"
            )
        self.context = _context_length(config.context, self.initial_contexts["frames"].shape[1])
        self.closed = False
        self._state: RolloutState | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "ImaginationEngine":
        """Return independent rollouts of the same model, which does not change and may be large."""
        memo |= {id(shared): shared for shared in (self.model, self.initial_contexts, self._upscaler)}
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__ = {name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()}
        return copied

    def close(self) -> None:
        """Forget the rollouts; only `closed` may be asked for afterwards. Closing twice is fine."""
        self.closed, self._state = True, None

    def check_open(self) -> None:
        """Raise ClosedError after `close`."""
        if self.closed:
            raise ClosedError("the environment is closed; make a new one to go on")

    def check_can_reset(self, rows: list[int]) -> None:
        """Raise ResetNeeded if the first reset is of some rollouts only, and ClosedError after `close`."""
        self.check_open()
        if not self.started and len(rows) < self.count:
            raise gym.error.ResetNeeded(f"call reset() first; only rollouts {rows} of {self.count} were to start")

    @property
    def started(self) -> bool:
        """Whether `reset` has been called."""
        return self._state is not None

    @property
    def rollouts(self) -> RolloutState:
        """The state of the rollouts, whose tensors the next step overwrites.

        Raises:
            ResetNeeded: The rollouts have not started.
            ClosedError: The environment is closed.
        """
        self.check_open()
        if self._state is None:
            raise gym.error.ResetNeeded("call reset() first; there is no state yet")
        return self._state

    def go_on_from(self, rollouts: RolloutState) -> None:
        """Replace the rollouts by as many of the same model."""
        self.check_open()
        self._state = rollouts

    def of(self, rollouts: RolloutState) -> "ImaginationEngine":
        """Return an engine of the same model and options that goes on from other rollouts, however many."""
        other = copy.copy(self)
        other.count, other._state = len(rollouts.seeds), rollouts
        return other

    @outside_inference_mode()
    def reset(self, rows: list[int], streams: list[np.random.Generator], prompts: list[Prompt | None]) -> torch.Tensor:
        """Start some of the rollouts anew.

        Args:
            rows: Their indices, ascending.
            streams: Random stream of each of them.
            prompts: Prompt of each of them, all of one length; or None for each, to draw one of the checkpoint's
                initial contexts from its stream.

        Returns:
            uint8 (len(rows), s, s, 3) on the model's device, the newest frame of each as the model sees it; s is
            scale * size.

        Raises:
            ResetNeeded: The first reset is of some rollouts only.
        """
        self.check_can_reset(rows)
        given = [prompt and self._with_model_actions(prompt) for prompt in prompts]
        contexts = [prompt or self._draw_context(stream) for prompt, stream in zip(given, streams, strict=True)]
        state, frames = self._start(contexts, np.array([stream.integers(2**63) for stream in streams]))
        if self._state is None or len(rows) == self.count:
            self._state = state
        else:
            self._state.put(torch.tensor(rows, device=self.model.device), state)
        return self._upscaled(frames)

    @outside_inference_mode()
    def step(self, actions: Any) -> Outcome:
        """Take one action in each rollout.

        Args:
            actions: Integers (N,); of a single rollout a bare integer too.

        Raises:
            ResetNeeded: The rollouts have not started.
            InvalidActionError: An action is not one of the game's; nothing has changed.
            ClosedError: The environment is closed.
        """
        self.check_open()
        if self._state is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        outcome = self.model.step(self._state, self.model_actions[self._checked(actions)], self.sampling)
        terminated = outcome.terminated if self.terminate else torch.zeros_like(outcome.terminated)
        return replace(outcome, frames=self._upscaled(outcome.frames), terminated=terminated)

    @outside_inference_mode()
    def look_ahead(self, plans: Any) -> LookAhead:
        """Return what plans would bring from here, see `WorldModelEnv.look_ahead`; of a single rollout only.

        Plans that begin alike are one rollout until they part: all draw the same random numbers.
        """
        state, chosen = replace(self.rollouts, decoder_past=NoCache()), self._checked_plans(plans)
        rows, columns = torch.zeros(len(chosen), dtype=torch.int64), []
        for number, actions in enumerate(chosen.T):
            pairs, rows = torch.unique(torch.stack([rows, actions], 1), dim=0, return_inverse=True)
            sources, taken = pairs.to(self.model.device).T
            if number == 0 or len(pairs) > len(state.seeds):
                state = state.take(sources)  # else each goes on by itself, as pairs are sorted
            outcome = self.model.predict(state, self.model_actions[taken], self.sampling)
            values = [self.reward_of(outcome), outcome.rewards, outcome.termination_prob, outcome.terminated.float()]
            columns.append(torch.stack(values).cpu()[:, rows])
        rewards, game_rewards, termination_prob, terminated = torch.stack(columns, -1).numpy()
        return LookAhead(rewards, game_rewards, termination_prob, (terminated > 0) & self.terminate)

    def _checked_plans(self, plans: Any) -> torch.Tensor:
        """Return a user's plans as int64 (k, h) on the CPU."""
        chosen = _integers(plans)
        if chosen is None or chosen.ndim != 2 or not chosen.numel():
            raise InvalidActionError(f"plans are integers of shape (plans, steps); got {short(plans)}")
        self._check_range(chosen, plans)
        return chosen.cpu()

    @outside_inference_mode()
    def reward_of(self, outcome: Outcome) -> torch.Tensor:
        """Return the reward of a step, float (N,).

        It is the game's reward as the model expects it; or with "autoexplore" the model's uncertainty about the frame
        it sampled, in [0, 2]: the mean entropy of the most uncertain quarter of the frame's tokens.
        """
        return outcome.rewards if self.reward == "game" else top_mean(token_entropy(outcome.logits))

    def _upscaled(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the model's frames, uint8 (n, size, size, 3), as they are given to the user."""
        if self._upscaler is None:
            return frames
        with autocast(self.model.dtype, self.model.device):
            return self._upscaler.upscale(frames)

    def _checked(self, actions: Any) -> torch.Tensor:
        """Return a user's actions as int64 (N,), on the device where they are if they are a tensor."""
        chosen = _integers(actions)
        if chosen is not None and chosen.ndim == 0:
            chosen = chosen[None]  # of a single rollout
        if chosen is None or chosen.shape != (self.count,):
            raise InvalidActionError(f"expected {self.count} integer action(s); got {short(actions)}")
        self._check_range(chosen, actions)
        return chosen.to(self.model.device)

    def _check_range(self, chosen: torch.Tensor, actions: Any) -> None:
        """Raise InvalidActionError if an action is none of the game's."""
        # Of actions on a GPU this waits for them, which is the price of refusing before anything changes.
        if bool(((chosen < 0) | (chosen >= len(self.game.actions))).any()):
            known = ", ".join(f"{i} {name}" for i, name in enumerate(self.game.meanings))
            raise InvalidActionError(f"an action must be one of {known}; got {short(actions)}")

    def _with_model_actions(self, prompt: Prompt) -> Prompt:
        """Return a user's prompt with its actions as the model knows them."""
        if prompt.actions is None:
            return prompt
        return replace(prompt, actions=self.model_actions.cpu().numpy()[prompt.actions])

    def _draw_context(self, stream: np.random.Generator) -> Prompt:
        frames, actions = self.initial_contexts["frames"], self.initial_contexts["actions"]
        if not len(frames):
            raise PromptError(
                f"the model has never seen {self.game.name}, and has no frames to start from; give some with "
                "reset(options={'prompt': frames}), or finetune it on that game"
            )
        index = int(stream.integers(len(frames)))
        newest = actions[index, actions.shape[1] - self.context + 1 :]
        return Prompt(frames[index, -self.context :].numpy(), newest.numpy())

    def _start(self, contexts: list[Prompt], seeds: np.ndarray) -> tuple[RolloutState, torch.Tensor]:
        frames = torch.from_numpy(np.stack([context.frames for context in contexts]))
        unknown = np.full(frames.shape[1] - 1, -1)
        actions = np.stack([unknown if context.actions is None else context.actions for context in contexts])
        return self.model.start(frames, torch.from_numpy(actions), torch.from_numpy(seeds))


def _integers(values: Any) -> torch.Tensor | None:
    """Return a list, an array or a tensor of integers as int64 on its device; None if it holds others."""
    if isinstance(values, torch.Tensor):
        return values.long() if values.dtype in INTEGERS else None
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        return None
    return torch.from_numpy(array.astype(np.int64)) if np.issubdtype(array.dtype, np.integer) else None


def _require_upscaler(loaded: Checkpoint, checkpoint: str | Path | None) -> Upscaler:
    if loaded.upscaler is None:
        game = loaded.game["name"]
        raise CheckpointError(
            f"upscale was asked for, but the checkpoint of {game} has no upscaler. Make one with: "
            f"genie-gym collect {game} --high-res && genie-gym train-upscaler {checkpoint or game}; "
            "or leave upscale out"
        )
    return loaded.upscaler


def _actions_of(
    loaded: Checkpoint, real_actions: bool, action_map: tuple[int, ...] | None
) -> tuple[GameSpec, torch.Tensor]:
    """Return the game with the actions that the user takes, and the model's action for each of them, int64 (a,)."""
    spec, codes = GameSpec.from_dict(loaded.game), list(range(len(loaded.game["actions"])))
    if real_actions and loaded.model.latent_actions is not None:
        known = loaded.require_action_map()
        spec, codes = GameSpec.from_dict(loaded.game | {"actions": known.actions}), known.codes
    if action_map is not None:
        check_action_map(action_map, spec.meanings)
        spec = replace(spec, actions=tuple(spec.actions[action] for action in action_map))
        codes = [codes[action] for action in action_map]
    return spec, torch.tensor(codes, device=loaded.model.device)


def _context_length(asked: int | None, kept: int) -> int:
    if asked is None:
        return kept
    if not 1 <= asked <= kept:
        raise ConfigError(
            f"context must be a whole number in 1 .. {kept} (the checkpoint keeps {kept} frames a start); got {asked!r}"
        )
    return asked
