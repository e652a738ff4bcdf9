"""WorldModelVectorEnv: N imagined rollouts in one forward pass, as a `gymnasium.vector.VectorEnv`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Tensor

from genie_gym.envs.config import WorldModelEnvConfig, make_env_config
from genie_gym.envs.engine import ImaginationEngine
from genie_gym.envs.numpy_wrappers import refuse_numpy_wrappers
from genie_gym.envs.prompt import Prompt, masked_rows, options_of, read_prompt
from genie_gym.envs.spec import PlainSpec
from genie_gym.envs.state import DreamState, branches_of, from_bytes, to_bytes
from genie_gym.errors import ConfigError
from genie_gym.utils.device import outside_inference_mode
from genie_gym.utils.images import enlarge
from genie_gym.utils.validation import at_least, check_autoreset_mode, check_render_mode, check_reset_seed, typed
from genie_gym.world_model import Outcome

__all__ = ["WorldModelVectorEnv"]

Array = Any  # np.ndarray, or torch.Tensor where asked for
StepResult = tuple[Array, Array, Array, Array, dict[str, Any]]
INFO_KEYS = ("game_reward", "termination_prob")


class WorldModelVectorEnv(PlainSpec, gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N imagined rollouts stepped together; rollout i with seed s equals that of WorldModelEnv with seed s + i.

    Made by `gym.make_vec("GenieRedux/Airstriker-v0", num_envs=16)`, or directly. Observations, rewards and prompts are
    those of WorldModelEnv.

    Args:
        num_envs: Number of rollouts, N.
        game: Name of a game, see WorldModelEnvConfig.
        checkpoint: Checkpoint, see WorldModelEnvConfig.
        config: All options in one object, in place of keyword options.
        max_episode_steps: Length after which episodes are truncated; None for no limit.
        autoreset_mode: "NextStep" (Gymnasium's default: the step after an end starts the next episode),
            "SameStep" (the ending step returns the next episode's first frame; the last is in `infos["final_obs"]`), or
            "Disabled" (call `reset(options={"reset_mask": ended})`). Only the rollouts that ended are reset.
        render_mode: None or "rgb_array".
        tensors: Return observations (those in `final_obs` too), rewards and ends as torch tensors on the model's device
            (rewards float32), and take actions as one, for agents on that device. The rest of `infos` stays numpy.
            Gymnasium's wrappers that compute in NumPy, and rewards of `genie_gym.wrappers`, need arrays.
        options: Fields of WorldModelEnvConfig by name, where each is described.

    `infos` holds "termination_prob" and "game_reward" of each rollout, 0 where a step only starts an episode.

    Raises:
        CheckpointError, GameError, ConfigError: See the message.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    @outside_inference_mode()
    def __init__(
        self,
        num_envs: int = 1,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        config: WorldModelEnvConfig | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        tensors: bool = False,
        **options: Any,
    ):
        num_envs = typed("num_envs", num_envs, int)
        at_least(1, num_envs=num_envs)
        self._take_options(max_episode_steps, autoreset_mode, render_mode, tensors)
        self._take_engine(ImaginationEngine(num_envs, make_env_config(config, game, checkpoint, options)))

    @classmethod
    def going_on(
        cls,
        engine: ImaginationEngine,
        state: DreamState,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        tensors: bool = False,
    ) -> "WorldModelVectorEnv":
        """Return environments that go on from a state, with the model and options of another one's engine.

        Raises:
            ConfigError: An option has the wrong type or is out of range.
        """
        env = cls.__new__(cls)
        env._take_options(max_episode_steps, autoreset_mode, render_mode, tensors)
        env._take_engine(engine.of(state.rollouts))
        env._go_on_from(state)
        return env

    def _take_options(
        self, max_episode_steps: int | None, autoreset_mode: str | AutoresetMode, render_mode: str | None, tensors: bool
    ) -> None:
        self.tensors = typed("tensors", tensors, bool)
        self.max_episode_steps = typed("max_episode_steps", max_episode_steps, int | None)
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ConfigError(f"max_episode_steps must be 1 or more, or None for no limit; got {max_episode_steps}")
        check_render_mode(render_mode)
        self.render_mode, self.autoreset_mode = render_mode, check_autoreset_mode(autoreset_mode)

    def _take_engine(self, engine: ImaginationEngine) -> None:
        self._engine, self.num_envs, num_envs = engine, engine.count, engine.count
        spec, size = engine.game, engine.scale * engine.size
        self.metadata = {**self.metadata, "render_fps": round(spec.fps), "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.single_action_space = gym.spaces.Discrete(len(spec.actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._streams = [np.random.default_rng() for _ in range(num_envs)]
        self._stream_seeds = [-1] * num_envs
        self._frames = torch.zeros((num_envs, size, size, 3), dtype=torch.uint8, device=self._engine.model.device)
        self._lengths = np.zeros(num_envs, np.int64)
        self._ended = np.zeros(num_envs, bool)

    @outside_inference_mode()
    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all rollouts, or those in `options["reset_mask"]` (bool (N,)).

        Args:
            seed: Rollout i gets seed + i, or the i-th of a sequence; None continues the random streams.
            options: "prompt" and "prompt_actions" as in WorldModelEnv, for all rollouts that start; "reset_mask".

        Raises:
            PromptError: An option has the wrong shape, type or range; nothing has changed.
            ConfigError: A seed is no whole number, 0 or more; or tensors are given to a wrapper that takes arrays only.
            ResetNeeded: The first reset is of some rollouts only.
            ClosedError: The environments are closed.
        """
        options = options_of(options)
        rows = masked_rows(options.pop("reset_mask", None), self.num_envs)
        self._engine.check_can_reset(rows)
        if self.tensors:
            refuse_numpy_wrappers()
        prompt = read_prompt(options, self._engine.size, len(self._engine.game.actions))
        for row, value in zip(rows, self._seeds(seed, rows), strict=True):
            if value is not None:
                self._streams[row], self._stream_seeds[row] = gym.utils.seeding.np_random(value)
        self._start(rows, prompt)
        zeros = {name: np.zeros(self.num_envs, np.float32) for name in INFO_KEYS}
        return self._output(self._frames), _with_masks(zeros, np.isin(np.arange(self.num_envs), rows))

    @outside_inference_mode()
    def step(self, actions: Array) -> StepResult:
        """Take one action in each rollout.

        Args:
            actions: int64 (N,).

        Returns:
            Frames uint8 (N, 64, 64, 3) or (N, 256, 256, 3), rewards float64 (N,), terminated bool (N,), truncated bool
            (N,), infos.

        Raises:
            InvalidActionError: An action lies outside the action space; nothing has changed.
            ClosedError: The environments are closed.
        """
        if self.autoreset_mode == AutoresetMode.DISABLED and self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            raise gym.error.ResetNeeded(
                f"dreams {ended} ended; call reset(options={{'reset_mask': terminated | truncated}}) first"
            )
        restarting = self._ended if self.autoreset_mode == AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        return self._advance(self._engine.step(actions), restarting)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return the current frame of each rollout, enlarged if not upscaled; None without a render mode."""
        self._engine.check_open()
        if self.render_mode is None:
            return None
        if not self._engine.started:
            raise gym.error.ResetNeeded("call reset() before render()")
        return tuple(enlarge(self._frames.cpu().numpy(), self._engine.zoom))

    def close_extras(self, **kwargs: Any) -> None:
        """End all episodes; the environments cannot be used afterwards. Closing twice is fine."""
        self._engine.close()

    def get_state(self) -> bytes:
        """Return all dreams as bytes that can be kept, see `WorldModelEnv.get_state`.

        Raises:
            ResetNeeded: There is no dream yet.
            ClosedError: The environments are closed.
        """
        return to_bytes(self._state(), self._engine.model)

    @outside_inference_mode()
    def set_state(self, state: bytes) -> Array:
        """Go on from what `get_state` of as many environments returned, see `WorldModelEnv.set_state`.

        Returns:
            The frames at which it was taken.

        Raises:
            StateError: The bytes are damaged, of another model, or of another number of dreams; nothing has changed.
            ClosedError: The environments are closed.
        """
        self._engine.check_open()
        size = self.single_observation_space.shape[0]  # type: ignore[index]
        self._go_on_from(from_bytes(state, self._engine.model, self.num_envs, size))
        return self._output(self._frames)

    @outside_inference_mode()
    def branch(self, n: int, *, seed: int | None = None) -> "WorldModelVectorEnv":
        """Return environments in which each dream goes on n times, see `WorldModelEnv.branch`.

        Args:
            n: Branches of each dream; those of dream i have the indices i * n to i * n + n - 1.
            seed: See `WorldModelEnv.branch`.

        Returns:
            n * num_envs environments with the same options, in the middle of their episodes.

        Raises:
            ConfigError: n is no whole number, less than 1, or makes too many environments.
            ResetNeeded: There is no dream yet.
            ClosedError: The environments are closed.
        """
        options = {"autoreset_mode": self.autoreset_mode, "render_mode": self.render_mode, "tensors": self.tensors}
        state = branches_of(self._state(), n, seed)
        return self.going_on(self._engine, state, max_episode_steps=self.max_episode_steps, **options)

    def _state(self) -> DreamState:
        """Return the state of now, whose tensors the next step overwrites."""
        lengths, ended = torch.from_numpy(self._lengths), torch.from_numpy(self._ended)
        return DreamState(self._engine.rollouts, self._frames, lengths, ended, self._streams, self._stream_seeds)

    def _go_on_from(self, state: DreamState) -> None:
        self._engine.go_on_from(state.rollouts)
        self._frames, self._lengths, self._ended = state.frames, state.lengths.numpy(), state.ended.numpy()
        self._streams, self._stream_seeds = state.streams, state.seeds

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # as in SyncVectorEnv
        """The seed last given to each rollout, -1 where there was none."""
        return tuple(self._stream_seeds)

    def get_action_meanings(self) -> list[str]:
        """Return the names of the actions, in order."""
        return self._engine.game.meanings

    def _advance(self, outcome: Outcome, restarting: np.ndarray) -> StepResult:
        """Count a step, and start new episodes where others have ended."""
        rewards, terminated, info = self._read(outcome, restarting)
        self._frames, self._lengths = outcome.frames, self._lengths + 1
        truncated = np.zeros(self.num_envs, bool)
        if self.max_episode_steps is not None:
            truncated = (self._lengths >= self.max_episode_steps) & ~restarting
        infos: dict[str, Any] = _with_masks(info, np.ones(self.num_envs, bool))
        ended = terminated | truncated
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            infos |= self._final_infos(ended, info)
            self._start(np.flatnonzero(ended).tolist())
        else:
            self._start(np.flatnonzero(restarting).tolist())
            self._ended = ended
        return self._output(self._frames), *(self._output(x) for x in (rewards, terminated, truncated)), infos

    def _read(self, outcome: Outcome, restarting: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return rewards, terminations and infos of a step as arrays, 0 where the step only starts an episode."""
        columns = [
            self._engine.reward_of(outcome),
            outcome.rewards,
            outcome.termination_prob,
            outcome.terminated.float(),
        ]
        values = torch.stack(columns).cpu().numpy()  # stacked, so that they leave the device together
        values = np.where(restarting, 0, values)
        return values[0].astype(np.float64), values[3] > 0, dict(zip(INFO_KEYS, values[1:3], strict=True))

    def _output(self, values: Array) -> Array:
        """Return a copy as the user asked for it: an array or a tensor."""
        if not self.tensors:
            return values.cpu().numpy().copy() if isinstance(values, Tensor) else values
        if isinstance(values, Tensor):
            return values.clone()
        kept = values.astype(np.float32) if values.dtype == np.float64 else values
        return torch.from_numpy(kept).to(self._engine.model.device)

    def _final_infos(self, ended: np.ndarray, info: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return the last frames and infos of the episodes that end in this step, in Gymnasium's form."""
        if not ended.any():
            return {}
        frames = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(ended):
            frames[row] = self._output(self._frames[row])
        last = _with_masks({name: np.where(ended, value, 0) for name, value in info.items()}, ended)
        return {"final_obs": frames, "_final_obs": ended, "final_info": last, "_final_info": ended}

    def _start(self, rows: list[int], prompt: Prompt | None = None) -> None:
        if rows:
            streams = [self._streams[row] for row in rows]
            self._frames[rows] = self._engine.reset(rows, streams, [prompt] * len(rows))
            self._lengths[rows] = 0
            self._ended[rows] = False

    def _seeds(self, seed: int | Sequence[int | None] | None, rows: list[int]) -> list[int | None]:
        if isinstance(seed, np.ndarray) and seed.ndim == 0:
            seed = seed[()]
        if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str):
            first = check_reset_seed(seed)
            return [None if first is None else first + row for row in rows]
        if len(seed) != self.num_envs:
            raise ConfigError(f"a list of seeds needs one for each of {self.num_envs} dreams; got {len(seed)}")
        return [check_reset_seed(seed[row]) for row in rows]


def _with_masks(info: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return infos in Gymnasium's form: beside each array, which of its rows count."""
    return info | {f"_{name}": mask for name in info}
