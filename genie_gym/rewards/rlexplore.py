"""Intrinsic rewards of a whole rollout at once, in the watch / compute / update shape of RLeXplore.

Shapes: T steps, N environments, w frames a window, s side of a frame in pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from einops import rearrange
from gymnasium.vector import AutoresetMode
from torch import Tensor

from genie_gym.autoreset import read_mode
from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.rewards.options import RewardOptions, make_reward, sizes
from genie_gym.rewards.scale import ReturnScale, RewardLevel

__all__ = ["RolloutReward"]

BATCH = 256  # windows in one forward pass
KEYS = ("observations", "actions", "rewards", "terminateds", "truncateds", "next_observations")


class RolloutReward:
    """Scores rollouts of N environments after they were collected (Yuan et al. 2024, RLeXplore).

        reward = RolloutReward(envs.single_observation_space, envs.single_action_space, n_envs=8, game="Airstriker")
        ...                                    # collect T steps into tensors (T, N, ...)
        intrinsic = reward.compute(samples)    # (T, N)

    Rollouts follow one another: the last frames of one are the context of the next wherever its first observations
    are where the last one stopped. A step whose window does not lie in one episode is paid 0.

    Args:
        observation_space, action_space: of one environment.
        n_envs: N.
        game, checkpoint: as of AutoExploreReward.
        beta: weight of the reward; kappa: its decay at each `compute` with `sync`, beta (1 - kappa)^calls.
        autoreset_mode: how the environments begin again: "SameStep" (observations[t + 1] is the new episode's first
            frame where step t ended one; Stable-Baselines3, older Gymnasium; "Disabled" with resets of one's own is the
            same) or "NextStep" (the step after an end only resets, its action does nothing; Gymnasium's default).
        options: of RewardOptions; mode, coefficient and every have no part in it.

    Raises:
        ConfigError, CheckpointError, GameError: as of AutoExploreReward.
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
        **options: Any,
    ):
        self.options = RewardOptions(**options)
        self.reward = make_reward(observation_space, action_space, game, checkpoint, options=self.options)
        self.size, self.n_actions = sizes(observation_space, action_space)
        self.n_envs, self.beta, self.kappa, self.calls = n_envs, beta, kappa, 0
        self.autoreset_mode = read_mode(autoreset_mode)
        self._level, self._running = RewardLevel(), ReturnScale(n_envs, self.options.gamma)
        self._before: _Steps | None = None

    @property
    def weight(self) -> float:
        """Of the reward, now."""
        return self.beta * (1 - self.kappa) ** self.calls

    def watch(self, *step: Any, **named: Any) -> None:
        """Called at each step with what `compute` is given later; there is nothing to note."""

    def compute(self, samples: Mapping[str, Any], sync: bool = True) -> Tensor:
        """The rewards of a rollout.

        Args:
            samples: "observations" and "next_observations" uint8 (T, N, s, s, 3) or (T, N, 3, s, s), "actions" integer
                (T, N), "terminateds" and "truncateds" bool (T, N), "rewards" (not looked at); tensors or arrays.
                next_observations of a step that ended an episode are not looked at by AutoExplore.
            sync: these samples are the next of the stream: keep their end as context, move the running scale and the
                weight, and let a baseline learn. Without it nothing changes.

        Returns:
            float32 (T, N), scaled and weighted.

        Raises:
            ConfigError: a key is missing or a shape is wrong.
            InvalidActionError: an action that the environments do not have.
        """
        steps, lead = self._continued(self._read(samples))
        rewards = torch.zeros(steps.actions.shape)
        for part in self._windows(steps, lead):
            frames, actions = steps.window(part, self.reward.window)
            rewards[part] = self.reward.score(frames[:, : self.reward.context], actions).reward
        if sync:
            self.update(samples)
        paid = self.scale(rewards[lead:], move=sync)
        if sync:
            self._before = steps.last(max(1, self.reward.window - 1))  # one at least, to see what goes on
            self.calls += 1
        return paid

    def update(self, samples: Mapping[str, Any]) -> None:
        """Lets a baseline learn from a rollout; AutoExplore never does."""
        if not self.reward.learns:
            return
        steps, lead = self._continued(self._read(samples))
        for part in self._windows(steps, lead):
            self.reward.update(*steps.window(part, self.reward.window))

    def scale(self, rewards: Tensor, move: bool = True) -> Tensor:
        """Rewards (T, N), 0 where not scored, less their running mean and divided by their running scale, where that is
        asked for, times the weight."""
        if self.options.center:
            scored = rewards.numpy() != 0
            if move:
                self._level.update(rewards.numpy(), scored)
            rewards = torch.from_numpy(self._level(rewards.numpy(), scored)).float()
        if self.options.normalize:
            if move:
                for row in rewards.numpy():
                    self._running.update(row, np.ones(self.n_envs, bool))
            rewards = torch.from_numpy(self._running(rewards.numpy())).float()
        return rewards * self.weight

    def _read(self, samples: Mapping[str, Any]) -> "_Steps":
        """Samples that fit the environments."""
        if missing := [key for key in KEYS if key not in samples and key != "rewards"]:
            raise ConfigError(f"samples lack {', '.join(missing)}; give all of {', '.join(KEYS)}")
        numbers = {key: _numbers(samples[key]) for key in ("actions", "terminateds", "truncateds")}
        pictures = {key: _pictures(samples[key]) for key in ("observations", "next_observations")}
        lead, size = (len(numbers["actions"]), self.n_envs), self.size
        for key, given in (numbers | pictures).items():
            wanted = lead if key in numbers else (*lead, size, size, 3)
            if given.shape != wanted or not len(given):
                raise ConfigError(f"{key} of {lead[0]} steps must have shape {wanted}; got {tuple(given.shape)}")
        actions, ends = numbers["actions"].long(), numbers["terminateds"].bool() | numbers["truncateds"].bool()
        if actions.min() < 0 or actions.max() >= self.n_actions:
            found = f"{actions.min()} to {actions.max()}"
            raise InvalidActionError(f"actions must lie in 0 .. {self.n_actions - 1}; the samples hold {found}")
        starts = np.zeros(lead, bool)
        starts[0] = True
        before, after = pictures.values()
        return _Steps(before, after, actions, ends.numpy(), starts)

    def _continued(self, steps: "_Steps") -> tuple["_Steps", int]:
        """These steps with the last rollout's end before them, and how many steps that are."""
        if self._before is None:
            return steps, 0
        return self._before.then(steps), len(self._before.actions)

    def _windows(self, steps: "_Steps", lead: int) -> list[tuple[Tensor, Tensor]]:
        """Steps (t, n) that end a whole window, the lead apart, in batches."""
        whole = steps.ages(self.autoreset_mode) >= self.reward.window - 1
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            whole &= ~steps.resets()
        whole[:lead] = False
        places = torch.from_numpy(np.argwhere(whole))
        return [(part[:, 0], part[:, 1]) for part in places.split(BATCH) if len(part)]


@dataclass
class _Steps:
    """T steps of N environments.

    Attributes:
        before, after: uint8 (T, N, s, s, 3), the frames that steps began and ended with.
        actions: int64 (T, N).
        ends: bool (T, N), steps that ended an episode.
        starts: bool (T, N), steps that do not go on from the step before.
    """

    before: Tensor
    after: Tensor
    actions: Tensor
    ends: np.ndarray
    starts: np.ndarray

    def then(self, other: "_Steps") -> "_Steps":
        """Both, one after the other; where the pictures do not fit together, another episode starts."""
        goes_on = (self.after[-1] == other.before[0]).flatten(1).all(1).numpy() | self.ends[-1]
        starts = other.starts.copy()
        starts[0] = ~goes_on
        return _Steps(
            torch.cat([self.before, other.before]),
            torch.cat([self.after, other.after]),
            torch.cat([self.actions, other.actions]),
            np.concatenate([self.ends, other.ends]),
            np.concatenate([self.starts, starts]),
        )

    def last(self, count: int) -> "_Steps":
        """The last `count` steps, or all if they are fewer."""
        late = slice(max(0, len(self.actions) - count), None)
        return _Steps(self.before[late], self.after[late], self.actions[late], self.ends[late], self.starts[late])

    def resets(self) -> np.ndarray:
        """Which steps only begin an episode, where the environments reset in the step after an end."""
        return np.concatenate([np.zeros_like(self.ends[:1]), self.ends[:-1]]) & ~self.starts

    def ages(self, mode: AutoresetMode) -> np.ndarray:
        """How many actions each step's episode has had, this one included, of those that are here: int (T, N)."""
        resets = self.resets()
        ages, age = np.zeros(self.actions.shape, int), np.zeros(self.actions.shape[1], int)
        for t in range(len(ages)):
            age = np.where(resets[t] | self.starts[t], 0, age) + (~resets[t] | (mode != AutoresetMode.NEXT_STEP))
            ages[t] = age
        return ages

    def window(self, ends: tuple[Tensor, Tensor], size: int) -> tuple[Tensor, Tensor]:
        """The windows that end with the given steps (t, n): frames uint8 (k, w, s, s, 3), actions int64 (k, w - 1)."""
        t, n = ends
        past = t[:, None] + torch.arange(2 - size, 1)  # the w - 1 steps of the window
        rows = n[:, None]
        frames = torch.cat([self.before[past, rows], self.after[t, n][:, None]], 1)
        return frames, self.actions[past, rows]


def _numbers(given: Any) -> Tensor:
    """(T, N), also from (T, N, 1)."""
    numbers = torch.atleast_1d(torch.as_tensor(given).cpu())
    return numbers.squeeze(2) if numbers.ndim == 3 and numbers.shape[2] == 1 else numbers


def _pictures(given: Any) -> Tensor:
    """uint8 (T, N, s, s, 3), also from channels first."""
    pictures = torch.as_tensor(given).cpu()
    if pictures.ndim != 5 or 3 not in (pictures.shape[2], pictures.shape[4]):
        raise ConfigError(f"pictures have shape (n_steps, n_envs, s, s, 3); got {tuple(pictures.shape)}")
    if pictures.dtype.is_floating_point and (pictures.max() > 1 or not pictures.any()):
        pictures = pictures.to(torch.uint8)  # RLeXplore keeps whole numbers as floats
    if pictures.dtype != torch.uint8:
        raise ConfigError(f"pictures hold whole numbers from 0 to 255; got {pictures.dtype} up to {pictures.max()}")
    return pictures if pictures.shape[4] == 3 else rearrange(pictures, "t n c h w -> t n h w c")
