"""WorldModelVectorEnv: N dreams as one batch and one forward pass, a `gymnasium.vector.VectorEnv`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Tensor

from genie_gym.autoreset import read_mode
from genie_gym.envs.dreams import Dreams
from genie_gym.envs.prompt import as_array, read_prompt
from genie_gym.errors import ConfigError, PromptError
from genie_gym.frames import enlarge
from genie_gym.world_model import Outcome

__all__ = ["WorldModelVectorEnv"]

Array = Any  # np.ndarray, or torch.Tensor where asked for
Arrays = tuple[Array, Array, Array, Array, dict[str, Any]]
TOLD = ("game_reward", "end_probability")


class WorldModelVectorEnv(gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N dreams stepped together; dream i with seed s is the dream of WorldModelEnv with seed s + i.

    Made by `gym.make_vec("GenieRedux/Airstriker-v0", num_envs=16)`. Options are those of WorldModelEnv, and:

    Args:
        num_envs: N.
        max_episode_steps: truncates episodes; None for no limit.
        autoreset_mode: "NextStep" (Gymnasium's default: the step after an end starts the next dream),
            "SameStep" (the ending step returns the next dream's first frame; the last is in `infos["final_obs"]`), or
            "Disabled" (call `reset(options={"reset_mask": ended})`). Only the dreams that ended are begun anew.
        tensors: give observations (those in `final_obs` too), rewards and ends as torch tensors on the model's device
            (rewards float32), and take actions as one, for agents that live there. The rest of `infos` stays numpy.
        options: device, precision, compile, sampling_steps, temperature, order, floor, context, ends,
            reward ("game" or "autoexplore"), upscale, buttons.

    `infos` holds "end_probability" and "game_reward" of each dream, 0 where a step only begins a dream.

    Raises:
        CheckpointError, GameError, ConfigError: see the message.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        tensors: bool = False,
        **options: Any,
    ):
        if num_envs < 1:
            raise ConfigError(f"num_envs must be 1 or more; got {num_envs}")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ConfigError(f"max_episode_steps must be 1 or more, or None for no limit; got {max_episode_steps}")
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode must be None or 'rgb_array'; got {render_mode!r}")
        self.num_envs, self.render_mode, self.max_episode_steps = num_envs, render_mode, max_episode_steps
        self.tensors = tensors
        self.autoreset_mode = read_mode(autoreset_mode)
        self._dreams = Dreams(num_envs, game, checkpoint, **options)
        spec, size = self._dreams.game, self._dreams.scale * self._dreams.size
        self.metadata = {**self.metadata, "render_fps": round(spec.fps), "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.single_action_space = gym.spaces.Discrete(len(spec.actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._streams = [np.random.default_rng() for _ in range(num_envs)]
        self._stream_seeds = [-1] * num_envs
        self._frames = torch.zeros((num_envs, size, size, 3), dtype=torch.uint8, device=self._dreams.model.device)
        self._lengths = np.zeros(num_envs, np.int64)
        self._over = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts all dreams, or those in `options["reset_mask"]` (bool (N,)).

        Args:
            seed: dream i gets seed + i, or the i-th of a sequence; None goes on with the streams as they are.
            options: "prompt" and "prompt_actions" as in WorldModelEnv, for all dreams begun; "reset_mask".

        Raises:
            PromptError: an option has the wrong shape, type or range.
            ResetNeeded: the first reset is of some dreams only.
        """
        options = dict(options or {})
        rows = _rows(options.pop("reset_mask", None), self.num_envs)
        for row, value in zip(rows, self._seeds(seed, rows), strict=True):
            if value is not None:
                self._streams[row], self._stream_seeds[row] = gym.utils.seeding.np_random(value)
        prompt = read_prompt(options, self._dreams.size, len(self._dreams.game.actions))
        self._begin(rows, prompt)
        zeros = {name: np.zeros(self.num_envs, np.float32) for name in TOLD}
        begun = np.isin(np.arange(self.num_envs), rows)
        return self._given(self._frames), _masked(zeros, begun)

    def step(self, actions: Array) -> Arrays:
        """Takes one action in each dream: actions int64 (N,).

        Returns:
            frames uint8 (N, 64, 64, 3) or (N, 256, 256, 3), rewards float64 (N,), terminated bool (N,), truncated bool
            (N,), infos.

        Raises:
            InvalidActionError: an action lies outside the action space.
        """
        waking = self._over if self.autoreset_mode == AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        if self.autoreset_mode == AutoresetMode.DISABLED and self._over.any():
            ended = np.flatnonzero(self._over).tolist()
            raise gym.error.ResetNeeded(
                f"dreams {ended} ended; call reset(options={{'reset_mask': terminated | truncated}}) first"
            )
        return self._advance(actions, self._dreams.step(actions), waking)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The current frame of each dream, enlarged fourfold if not upscaled; None without a render mode."""
        if self.render_mode is None:
            return None
        if not self._dreams.started:
            raise gym.error.ResetNeeded("call reset() before render()")
        return tuple(enlarge(self._frames.cpu().numpy(), self._dreams.zoom))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # as of SyncVectorEnv
        """The seed that each dream was last given, -1 where it has had none."""
        return tuple(self._stream_seeds)

    def get_action_meanings(self) -> list[str]:
        """Names of the actions, in order."""
        return self._dreams.game.meanings

    def _advance(self, actions: Array, outcome: Outcome, waking: np.ndarray) -> Arrays:
        """Books one step: counts, ends, and new dreams where old ones are over."""
        # Stacked, so that they leave the device together.
        unknown = self._dreams.unknown.to(outcome.rewards)
        columns = [self._dreams.paid(outcome), outcome.rewards, outcome.ends, outcome.ended.float(), unknown]
        brought = torch.stack(columns).cpu().numpy()
        self._dreams.refuse(brought[4] > 0, actions)
        brought = np.where(waking, 0, brought)
        rewards, ended = brought[0].astype(np.float64), brought[3] > 0
        told = dict(zip(TOLD, brought[1:3], strict=True))
        self._frames, self._lengths = outcome.frames, self._lengths + 1
        truncated = np.zeros(self.num_envs, bool)
        if self.max_episode_steps is not None:
            truncated = (self._lengths >= self.max_episode_steps) & ~waking
        infos: dict[str, Any] = _masked(told, np.ones(self.num_envs, bool))
        over = ended | truncated
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            infos |= self._final(over, told)
            self._begin(np.flatnonzero(over).tolist())
        else:
            self._begin(np.flatnonzero(waking).tolist())
            self._over = over
        return self._given(self._frames), *(self._given(x) for x in (rewards, ended, truncated)), infos

    def _given(self, values: Array) -> Array:
        """A copy in the form the user asked for."""
        if not self.tensors:
            return values.cpu().numpy().copy() if isinstance(values, Tensor) else values
        if isinstance(values, Tensor):
            return values.clone()
        kept = values.astype(np.float32) if values.dtype == np.float64 else values
        return torch.from_numpy(kept).to(self._dreams.model.device)

    def _final(self, over: np.ndarray, told: dict[str, np.ndarray]) -> dict[str, Any]:
        """The last frames and infos of the dreams that end in this step, in Gymnasium's form."""
        if not over.any():
            return {}
        frames = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(over):
            frames[row] = self._given(self._frames[row])
        last = _masked({name: np.where(over, value, 0) for name, value in told.items()}, over)
        return {"final_obs": frames, "_final_obs": over, "final_info": last, "_final_info": over}

    def _begin(self, rows: list[int], prompt: Any = None) -> None:
        if rows:
            streams = [self._streams[row] for row in rows]
            self._frames[rows] = self._dreams.begin(rows, streams, [prompt] * len(rows))
            self._lengths[rows] = 0
            self._over[rows] = False

    def _seeds(self, seed: int | Sequence[int | None] | None, rows: list[int]) -> list[int | None]:
        if seed is None or isinstance(seed, (int, np.integer)):
            return [None if seed is None else int(seed) + row for row in rows]
        if len(seed) != self.num_envs:
            raise ConfigError(f"a list of seeds needs one for each of {self.num_envs} dreams; got {len(seed)}")
        return [seed[row] for row in rows]


def _masked(told: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """Infos in Gymnasium's form: beside each array, which of its rows count."""
    return told | {f"_{name}": mask for name in told}


def _rows(mask: Any, count: int) -> list[int]:
    if mask is None:
        return list(range(count))
    mask = as_array(mask)
    if mask.shape != (count,) or mask.dtype != np.bool_ or not mask.any():
        raise PromptError(
            f"reset_mask must be bool of shape ({count},) with at least one True; got {mask.dtype} {mask.shape}"
        )
    return np.flatnonzero(mask).tolist()
