"""WorldModelEnv: one imagined rollout as a `gymnasium.Env`."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genie_gym.envs.config import WorldModelEnvConfig, make_env_config
from genie_gym.envs.engine import ImaginationEngine, LookAhead
from genie_gym.envs.prompt import read_prompt
from genie_gym.envs.spec import PlainSpec
from genie_gym.envs.state import DreamState, branches_of, from_bytes, to_bytes
from genie_gym.envs.vector_env import WorldModelVectorEnv
from genie_gym.errors import ConfigError
from genie_gym.utils.device import outside_inference_mode
from genie_gym.utils.images import enlarge
from genie_gym.utils.validation import check_render_mode, check_reset_seed

__all__ = ["WorldModelEnv"]

BRANCH_OPTIONS = ("max_episode_steps", "autoreset_mode", "render_mode", "tensors")


class WorldModelEnv(PlainSpec, gym.Env[np.ndarray, np.int64]):
    """A learned game: the world model generates each next frame, its reward and whether the episode ends.

    Made by `gymnasium.make("GenieRedux/Airstriker-v0")`, or directly.

    Observations are uint8 (64, 64, 3), or (256, 256, 3) with `upscale`; actions are the real game's reduced set.

    An episode starts from real frames that the checkpoint keeps, or from your own:

        env.reset(options={"prompt": frames, "prompt_actions": actions})

    `prompt` is uint8 (h, w, 3) or (c, h, w, 3) of any size. `prompt_actions` are the c - 1 actions between the frames
    and may be left out. An episode has no length limit other than the `max_episode_steps` given to `gymnasium.make`.

    The reward is the expected reward of the real game, in its unit. With `reward="autoexplore"` it is the model's
    uncertainty about the frame it sampled, from 0 to 2, at next to no cost: the mean entropy of the most uncertain
    quarter of the frame's tokens (paper section 4, equations 2 to 4), one frame ahead of the imagined rollout rather
    than three ahead of two real frames. Each token counts with the entropy it had when it was sampled.

    `info` holds "game_reward", the game's reward whatever `reward` is, and "termination_prob", the probability with
    which the end of the episode was sampled.

    Args:
        game: Name of a game, see WorldModelEnvConfig.
        checkpoint: Checkpoint, see WorldModelEnvConfig.
        config: All options in one object, in place of keyword options.
        render_mode: None or "rgb_array" (uint8, 256x256x3); "human" and lists come from `gymnasium.make`.
        options: Fields of WorldModelEnvConfig by name, where each is described.

    Raises:
        CheckpointError, GameError, ConfigError: See the message.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        config: WorldModelEnvConfig | None = None,
        render_mode: str | None = None,
        **options: Any,
    ):
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self._engine = ImaginationEngine(1, make_env_config(config, game, checkpoint, options))
        spec, size = self._engine.game, self._engine.scale * self._engine.size
        self.metadata = {**self.metadata, "render_fps": round(spec.fps)}  # gymnasium.utils.play takes integers only
        self.observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(spec.actions))
        self._frame: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Random seed of this and later episodes.
            options: "prompt" and "prompt_actions", see the class.

        Raises:
            PromptError: The prompt has the wrong shape, type or range; nothing has changed.
            ConfigError: The seed is no whole number, 0 or more.
            ClosedError: The environment is closed.
        """
        self._engine.check_open()
        prompt = read_prompt(options, self._engine.size, len(self._engine.game.actions))
        super().reset(seed=check_reset_seed(seed))
        self._frame = self._engine.reset([0], [self.np_random], [prompt])[0].cpu().numpy()
        return self._frame.copy(), {"termination_prob": 0.0, "game_reward": 0.0}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take an action; truncated is always False.

        Raises:
            InvalidActionError: The action lies outside the action space; nothing has changed.
            ClosedError: The environment is closed.
        """
        outcome = self._engine.step(action)
        self._frame = outcome.frames[0].cpu().numpy()
        info = {"termination_prob": float(outcome.termination_prob[0]), "game_reward": float(outcome.rewards[0])}
        reward = float(self._engine.reward_of(outcome)[0])
        return self._frame.copy(), reward, bool(outcome.terminated[0]), False, info

    def render(self) -> np.ndarray | None:
        """Return the current frame, enlarged if not upscaled: uint8 (256, 256, 3); None without a render mode."""
        self._engine.check_open()
        if self.render_mode is None:
            gym.logger.warn('render() needs a render mode: gym.make(..., render_mode="rgb_array")')
            return None
        if self._frame is None:
            raise gym.error.ResetNeeded("call reset() before render()")
        return enlarge(self._frame, self._engine.zoom)

    @outside_inference_mode()
    def get_state(self) -> bytes:
        """Return the dream as bytes that can be kept, on disk too: `set_state` goes on from it exactly.

        All that the next steps depend on is in them, but for the model and the options of the environment: frames,
        rewards, ends and the draws of later episodes are the same again. The action space's random generator and what
        wrappers count are not in them.

        Raises:
            ResetNeeded: There is no dream yet.
            ClosedError: The environment is closed.
        """
        return to_bytes(self._state(), self._engine.model)

    @outside_inference_mode()
    def set_state(self, state: bytes) -> np.ndarray:
        """Go on from what `get_state` of an environment with the same checkpoint and options returned.

        No `reset` is needed before; through `gymnasium.make` use `env.unwrapped`, as its wrappers do want one.

        Args:
            state: The bytes. Those of strangers are safe: they are checked, and nothing is unpickled.

        Returns:
            The frame at which it was taken.

        Raises:
            StateError: The bytes are damaged, of another model, or of several dreams; nothing has changed.
            ClosedError: The environment is closed.
        """
        self._engine.check_open()
        restored = from_bytes(state, self._engine.model, 1, self._engine.scale * self._engine.size)
        self._engine.go_on_from(restored.rollouts)
        self._frame = restored.frames[0].cpu().numpy()
        (self._np_random,), (self._np_random_seed,) = restored.streams, restored.seeds
        return self._frame.copy()

    @outside_inference_mode()
    def branch(self, n: int, *, seed: int | None = None, **options: Any) -> WorldModelVectorEnv:
        """Return n environments that go on from this moment, stepped as one batch; this one does not change.

        The model is shared, and each branch gets one copy of the past: what `copy.deepcopy` does n times, and n steps
        become one.

        Args:
            n: Number of branches.
            seed: Branch i draws its random numbers anew, from `seed` + i. None: every branch draws those that this
                environment will, so that they differ by their actions alone, and equal actions give equal dreams.
            options: max_episode_steps (counted from here), autoreset_mode, render_mode and tensors, as
                WorldModelVectorEnv has them.

        Raises:
            ConfigError: n is no whole number, less than 1 or too large, or an option is none of these.
            ResetNeeded: There is no dream yet.
            ClosedError: The environment is closed.
        """
        if unknown := [name for name in options if name not in BRANCH_OPTIONS]:
            raise ConfigError(f"unknown option {unknown[0]!r} of branch(); known are: {', '.join(BRANCH_OPTIONS)}")
        return WorldModelVectorEnv.going_on(self._engine, branches_of(self._state(), n, seed), **options)

    def look_ahead(self, plans: Any) -> LookAhead:
        """Return what each of k plans would bring from here; nothing changes.

        The figures are those that the environment itself, or a `branch` of it, would give under these actions, up to
        rounding. No frames are drawn, and plans that begin alike are one dream until they part, so that it takes about
        half the time of a branch.

        Args:
            plans: Actions, integers (k, h): h steps each.

        Raises:
            InvalidActionError: They have another shape, or one is not of the action space.
            ResetNeeded: There is no dream yet.
            ClosedError: The environment is closed.
        """
        return self._engine.look_ahead(plans)

    def _state(self) -> DreamState:
        """Return the state of now, whose tensors the next step overwrites."""
        rollouts = self._engine.rollouts
        frames = torch.from_numpy(self._frame)[None].to(self._engine.model.device)
        stream, seed = self.np_random, self.np_random_seed
        nothing = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool)
        return DreamState(rollouts, frames, *nothing, [stream], [-1 if seed is None else seed])

    def close(self) -> None:
        """End the episode; the environment cannot be used afterwards. Closing twice is fine."""
        self._engine.close()

    def get_action_meanings(self) -> list[str]:
        """Return the names of the actions, in order."""
        return self._engine.game.meanings

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Return the action of each combination of keys, as `gymnasium.utils.play` takes it."""
        return self._engine.game.keys_to_action()
