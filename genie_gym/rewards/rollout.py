"""Intrinsic rewards of complete rollouts, with the watch / compute / update interface of RLeXplore.

Shapes: T steps, N environments, w frames per window, s side of a frame in pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from einops import rearrange
from gymnasium.vector import AutoresetMode
from torch import Tensor

from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.rewards.adapter import EnvAdapter
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.habituation import Habituation
from genie_gym.rewards.make import make_habituation, make_reward
from genie_gym.rewards.processor import RewardProcessor
from genie_gym.utils.device import with_gradients
from genie_gym.utils.options import make_config
from genie_gym.utils.validation import at_least, check_autoreset_mode, check_unit_interval, typed

__all__ = ["RolloutReward"]

BATCH = 256  # windows in one forward pass
KEYS = ("observations", "actions", "rewards", "terminateds", "truncateds", "next_observations")


class RolloutReward:
    """Compute the intrinsic rewards of rollouts after they were collected (Yuan et al. 2024, RLeXplore).

        reward = RolloutReward(envs.single_observation_space, envs.single_action_space, n_envs=8, game="Airstriker")
        ...                                    # collect T steps into tensors (T, N, ...)
        intrinsic = reward.compute(samples)    # (T, N)

    Consecutive rollouts are connected: the last frames of one are the context of the next, wherever the first
    observations of the next equal the last ones of the previous. A step whose window does not lie within one episode
    is rewarded 0.

    Args:
        observation_space: Space of one environment's observations, uint8 (s, s, 3).
        action_space: Space of one environment's actions, Discrete from 0.
        n_envs: Number of environments N.
        game: Name of a game. Its weights are looked for in the user's folder, then in the package.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        beta: Weight of the reward.
        kappa: Decay of the weight. After k calls of `compute` with `sync`, the weight is beta (1 - kappa)^k.
        autoreset_mode: How the environments are reset. "SameStep": observations[t + 1] is the first frame of a new
            episode where step t ended one (Stable-Baselines3, older Gymnasium, and also "Disabled" with resets by the
            caller). "NextStep": the step after an end only resets, and its action has no effect (Gymnasium's default).
        config: Options of the reward. `mode`, `coefficient` and `score_interval` are not used.
        options: Fields of RewardConfig, in place of `config`.

    Raises:
        ConfigError: An option is out of range, or the spaces do not fit the world model.
        CheckpointError: There are no weights.
        GameError: The game is unknown.
    """

    def __init__(
        self,
        observation_space: gym.Space,
        action_space: gym.Space,
        n_envs: int,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        beta: float = 1.0,
        kappa: float = 0.0,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        config: RewardConfig | None = None,
        **options: Any,
    ):
        self.config = make_config(RewardConfig, config, options)
        n_envs, beta, kappa = typed("n_envs", n_envs, int), typed("beta", beta, float), typed("kappa", kappa, float)
        at_least(1, num_envs=n_envs)
        check_unit_interval(kappa=kappa)
        self.adapter = EnvAdapter.of(observation_space, action_space, self.config)
        self.reward = make_reward(observation_space, action_space, game, checkpoint, config=self.config)
        self.habituation = make_habituation(self.reward, n_envs, self.config)
        self.n_envs, self.beta, self.kappa, self.calls = n_envs, beta, kappa, 0
        self.autoreset_mode = check_autoreset_mode(autoreset_mode)
        # RLeXplore's weight takes the place of the coefficient.
        self._processor = RewardProcessor(n_envs, replace(self.config, mode="replace", coefficient=1.0))
        self._past: _Steps | None = None

    @property
    def weight(self) -> float:
        """Current weight of the reward."""
        return self.beta * (1 - self.kappa) ** self.calls

    def watch(self, *step: Any, **named: Any) -> None:
        """Do nothing: `compute` receives everything that is known about a step."""

    def compute(self, samples: Mapping[str, Any], sync: bool = True) -> Tensor:
        """Return the rewards of a rollout.

        Args:
            samples: Tensors or arrays: "observations" and "next_observations" uint8 (T, N, s, s, 3) or (T, N, 3, s, s),
                "actions" integer (T, N), "terminateds" and "truncateds" bool (T, N). "rewards" is not used. AutoExplore
                does not use next_observations of a step that ends an episode.
            sync: Whether these samples continue the stream. If so, their last steps are kept as context, the running
                statistics and the weight are updated, and a baseline learns. Otherwise nothing changes.

        Returns:
            Float32 (T, N), centred and normalised as configured, and weighted.

        Raises:
            ConfigError: A key is missing or a shape is wrong.
            InvalidActionError: The environments do not have one of the actions.
        """
        steps, past = self._with_past(self._read(samples))
        scores, scored = self._score(steps, past)
        if self.habituation:
            habituation = self.habituation if sync else self.habituation.copy()
            scores = scores * self._weights(steps, past, scored, habituation)
        if sync:
            self.update(samples)
        rewards = torch.from_numpy(self._processor(scores, scored, update=sync)).float() * self.weight
        if sync:
            self._past = steps.last(max(1, self.reward.window - 1))  # at least one, to recognise consecutive rollouts
            self.calls += 1
        return rewards

    @with_gradients()
    def update(self, samples: Mapping[str, Any]) -> None:
        """Train a baseline on a rollout. Does nothing for AutoExplore."""
        if not self.reward.learns:
            return
        steps, past = self._with_past(self._read(samples))
        for batch in self._windows(steps, past):
            self.reward.update(*steps.window(batch, self.reward.window))

    def _score(self, steps: "_Steps", past: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scores float32 (T, N) and which steps were scored, bool (T, N), without the past steps."""
        scores, scored = torch.zeros(steps.actions.shape), torch.zeros(steps.actions.shape, dtype=torch.bool)
        for batch in self._windows(steps, past):
            frames, actions = steps.window(batch, self.reward.window)
            scores[batch] = self.reward.score(frames[:, : self.reward.context], actions).reward
            scored[batch] = True
        return scores[past:].numpy(), scored[past:].numpy()

    def _weights(self, steps: "_Steps", past: int, scored: np.ndarray, habituation: Habituation) -> np.ndarray:
        """Return how little the frames after the scored steps were visited before, float32 (T, N)."""
        weights, ages = np.ones(scored.shape, np.float32), steps.ages(self.autoreset_mode)[past:]
        for t, after in enumerate(steps.after[past:]):
            habituation.reset(ages[t] <= 1)
            if len(rows := np.flatnonzero(scored[t])):
                weights[t, rows] = habituation(after[torch.from_numpy(rows)], rows)
        return weights

    def _read(self, samples: Mapping[str, Any]) -> "_Steps":
        """Return the samples as steps, after checking that they fit the environments."""
        if missing := [key for key in KEYS if key not in samples and key != "rewards"]:
            raise ConfigError(f"samples lack {', '.join(missing)}; give all of {', '.join(KEYS)}")
        numbers = {key: _numbers(samples[key]) for key in ("actions", "terminateds", "truncateds")}
        frames = {key: self._seen(samples[key]) for key in ("observations", "next_observations")}
        count = len(numbers["actions"])
        for key, given in (numbers | frames).items():
            expected = (count, self.n_envs) if key in numbers else (count, self.n_envs, *2 * (self.adapter.size,), 3)
            if given.shape != expected or not len(given):
                raise ConfigError(f"{key} of {count} steps must have shape {expected}; got {tuple(given.shape)}")
        actions, ends = numbers["actions"].long(), numbers["terminateds"].bool() | numbers["truncateds"].bool()
        self._check_actions(actions)
        starts = np.zeros((count, self.n_envs), bool)
        starts[0] = True
        known = torch.from_numpy(self.adapter.actions(actions.numpy()))
        return _Steps(frames["observations"], frames["next_observations"], known, ends.numpy(), starts)

    def _seen(self, given: Any) -> Tensor:
        """Return frames as the reward sees them."""
        return torch.from_numpy(self.adapter.frames(_frames(given).numpy()))

    def _check_actions(self, actions: Tensor) -> None:
        if actions.min() < 0 or actions.max() >= self.adapter.num_actions:
            found = f"{actions.min()} to {actions.max()}"
            raise InvalidActionError(
                f"actions must lie in 0 .. {self.adapter.num_actions - 1}; the samples hold {found}"
            )

    def _with_past(self, steps: "_Steps") -> tuple["_Steps", int]:
        """Return the steps preceded by the last ones of the previous rollout, and the number of those."""
        if self._past is None:
            return steps, 0
        return self._past.then(steps), len(self._past.actions)

    def _windows(self, steps: "_Steps", past: int) -> list[tuple[Tensor, Tensor]]:
        """Return the steps (t, n) that complete a window, without the past steps, in batches."""
        complete = steps.ages(self.autoreset_mode) >= self.reward.window - 1
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            complete &= ~steps.resets()
        complete[:past] = False
        places = torch.from_numpy(np.argwhere(complete))
        return [(batch[:, 0], batch[:, 1]) for batch in places.split(BATCH) if len(batch)]


@dataclass
class _Steps:
    """T steps of N environments.

    Attributes:
        before: Uint8 (T, N, s, s, 3), the frame before each step.
        after: Uint8 (T, N, s, s, 3), the frame after each step.
        actions: Int64 (T, N).
        ends: Bool (T, N), steps that ended an episode.
        starts: Bool (T, N), steps that do not continue the previous step.
    """

    before: Tensor
    after: Tensor
    actions: Tensor
    ends: np.ndarray
    starts: np.ndarray

    def then(self, other: "_Steps") -> "_Steps":
        """Append other steps. Where their first frames are not the last ones here, a new episode starts."""
        continues = (self.after[-1] == other.before[0]).flatten(1).all(1).numpy() | self.ends[-1]
        starts = other.starts.copy()
        starts[0] = ~continues
        return _Steps(
            torch.cat([self.before, other.before]),
            torch.cat([self.after, other.after]),
            torch.cat([self.actions, other.actions]),
            np.concatenate([self.ends, other.ends]),
            np.concatenate([self.starts, starts]),
        )

    def last(self, count: int) -> "_Steps":
        """Return the last `count` steps, or all if there are fewer."""
        late = slice(max(0, len(self.actions) - count), None)
        return _Steps(self.before[late], self.after[late], self.actions[late], self.ends[late], self.starts[late])

    def resets(self) -> np.ndarray:
        """Return the steps that follow an end, bool (T, N). With "NextStep" these only reset."""
        return np.concatenate([np.zeros_like(self.ends[:1]), self.ends[:-1]]) & ~self.starts

    def ages(self, mode: AutoresetMode) -> np.ndarray:
        """Return how many of the actions here each step's episode has had, including its own, int (T, N)."""
        resets = self.resets()
        ages, age = np.zeros(self.actions.shape, int), np.zeros(self.actions.shape[1], int)
        for t in range(len(ages)):
            age = np.where(resets[t] | self.starts[t], 0, age) + (~resets[t] | (mode != AutoresetMode.NEXT_STEP))
            ages[t] = age
        return ages

    def window(self, ends: tuple[Tensor, Tensor], size: int) -> tuple[Tensor, Tensor]:
        """Return the windows that end with the given steps.

        Args:
            ends: Indices t (k,) and n (k,) of the steps.
            size: Number of frames w.

        Returns:
            Frames uint8 (k, w, s, s, 3) and actions int64 (k, w - 1).
        """
        t, n = ends
        past = t[:, None] + torch.arange(2 - size, 1)  # the w - 1 steps of the window
        rows = n[:, None]
        frames = torch.cat([self.before[past, rows], self.after[t, n][:, None]], 1)
        return frames, self.actions[past, rows]


def _numbers(given: Any) -> Tensor:
    """Return a tensor (T, N), also of numbers (T, N, 1)."""
    numbers = torch.atleast_1d(torch.as_tensor(given).cpu())
    return numbers.squeeze(2) if numbers.ndim == 3 and numbers.shape[2] == 1 else numbers


def _frames(given: Any) -> Tensor:
    """Return frames uint8 (T, N, s, s, 3), also of frames with channels first."""
    frames = torch.as_tensor(given).cpu()
    if frames.ndim != 5 or 3 not in (frames.shape[2], frames.shape[4]):
        raise ConfigError(f"frames have shape (n_steps, n_envs, s, s, 3); got {tuple(frames.shape)}")
    if frames.dtype.is_floating_point and (frames.max() > 1 or not frames.any()):
        frames = frames.to(torch.uint8)  # RLeXplore keeps whole numbers as floats
    if frames.dtype != torch.uint8:
        raise ConfigError(f"frames hold whole numbers from 0 to 255; got {frames.dtype} up to {frames.max()}")
    return frames if frames.shape[4] == 3 else rearrange(frames, "t n c h w -> t n h w c")
