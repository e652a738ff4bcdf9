"""Imagined environments as a Stable-Baselines3 VecEnv."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from genie_gym.envs.config import WorldModelEnvConfig, make_env_config
from genie_gym.envs.vector_env import WorldModelVectorEnv
from genie_gym.errors import ConfigError
from genie_gym.utils.validation import short

__all__ = ["ImaginedVecEnv"]

Indices = None | int | Iterable[int]


class ImaginedVecEnv(VecEnv):
    """N imagined environments in one forward pass, each reset in the step that ends its episode.

        model = PPO("CnnPolicy", ImaginedVecEnv("Airstriker", num_envs=16, max_episode_steps=200))

    Observations are uint8 (N, 64, 64, 3) and rewards float32 (N,). `infos[i]` always holds "termination_prob" and
    "game_reward", also with another reward (`reward="autoexplore"`). Where an episode ended, it also holds
    "terminal_observation", "TimeLimit.truncated", and "episode" with the return "r" of the game's reward and the
    length "l", as with VecMonitor.

    Args:
        game: Name of a game, see WorldModelEnvConfig.
        num_envs: Number of environments N.
        checkpoint: Checkpoint, see WorldModelEnvConfig.
        config: Options of the environments.
        max_episode_steps: Maximum number of steps in an episode. By default an episode ends only when the model
            predicts a termination.
        render_mode: None or "rgb_array".
        options: Fields of WorldModelEnvConfig, in place of `config`.

    Attributes:
        vector_env: The WorldModelVectorEnv.

    Raises:
        ConfigError: An option is out of range, or not supported here.
        CheckpointError: There are no weights.
        GameError: The game is unknown.
    """

    def __init__(
        self,
        game: str | None = None,
        num_envs: int = 16,
        checkpoint: str | Path | None = None,
        *,
        config: WorldModelEnvConfig | None = None,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ):
        _check_supported(options)
        self.vector_env = WorldModelVectorEnv(
            num_envs,
            config=make_env_config(config, game, checkpoint, options),
            max_episode_steps=max_episode_steps,
            autoreset_mode=AutoresetMode.SAME_STEP,
            render_mode=render_mode,
        )
        num_envs = self.vector_env.num_envs
        super().__init__(num_envs, self.vector_env.single_observation_space, self.vector_env.single_action_space)
        self.metadata = self.vector_env.metadata
        self._actions: Any = np.zeros(num_envs, np.int64)
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)

    def reset(self) -> np.ndarray:
        """Start all episodes, with the seeds of the last `seed` call and the options of the last `set_options`.

        Raises:
            ConfigError: The environments were given different options, or some that are no dictionary.
        """
        given = self._options
        if not isinstance(given, list | tuple) or not given or not all(isinstance(one, dict) for one in given):
            raise ConfigError(f"options of a reset are a dictionary; got {short(given)}")
        if any(options is not given[0] for options in given) and any(given):
            raise ConfigError("all environments are reset with the same options; give set_options a single dictionary")
        try:
            frames, _ = self.vector_env.reset(seed=self._seeds, options=given[0])
        finally:  # seeds and options are for one reset, be it refused
            self._reset_seeds()
            self._reset_options()
        self._returns[:], self._lengths[:] = 0, 0
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions  # checked when the step is taken

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        frames, rewards, terminated, truncated, batch = self.vector_env.step(self._actions)
        names = ("termination_prob", "game_reward")
        infos: list[dict[str, Any]] = [{name: float(batch[name][i]) for name in names} for i in range(self.num_envs)]
        self._returns += batch["game_reward"]
        self._lengths += 1
        for row in np.flatnonzero(terminated | truncated):
            infos[row]["terminal_observation"] = batch["final_obs"][row]
            infos[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
            infos[row]["episode"] = {"r": float(self._returns[row]), "l": int(self._lengths[row])}
            self._returns[row], self._lengths[row] = 0, 0
        return frames, rewards.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        self.vector_env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        return self.vector_env.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of the vector environment once per index; spaces are those of one environment."""
        name = f"single_{attr_name}" if attr_name in ("observation_space", "action_space") else attr_name
        return [getattr(self.vector_env, name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute of the vector environment, which all environments share.

        Raises:
            ConfigError: It was to be set for some of them only.
        """
        if set(self._indices(indices)) != set(range(self.num_envs)):
            raise ConfigError(
                f"the environments are one batch and share their attributes; {attr_name} cannot be set for "
                f"{short(indices)} alone. Leave indices out, or make a second ImaginedVecEnv"
            )
        setattr(self.vector_env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        return [getattr(self.vector_env, method_name)(*args, **kwargs)] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: Indices = None) -> list[bool]:
        """Return True for Stable-Baselines3's Monitor, whose "episode" the infos hold, and False for others."""
        return [wrapper_class is Monitor] * len(self._indices(indices))

    def _indices(self, indices: Indices) -> list[int]:
        chosen = [int(index) for index in self._get_indices(indices)]
        if any(not -self.num_envs <= index < self.num_envs for index in chosen):
            raise ConfigError(f"indices must lie in 0 .. {self.num_envs - 1}; got {short(indices)}")
        return [index % self.num_envs for index in chosen]


def _check_supported(options: dict[str, Any]) -> None:
    """Raise ConfigError for options of WorldModelVectorEnv that Stable-Baselines3 does not support."""
    if "tensors" in options:
        raise ConfigError("Stable-Baselines3 takes arrays only; leave tensors out, or use WorldModelVectorEnv")
    if "autoreset_mode" in options:
        raise ConfigError("Stable-Baselines3 resets environments in the step that ends them; leave autoreset_mode out")
