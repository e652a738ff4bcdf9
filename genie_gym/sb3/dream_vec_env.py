"""DreamVecEnv: a batch of dreams as a Stable-Baselines3 VecEnv, which does not take Gymnasium's vector environments."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from genie_gym.envs import WorldModelVectorEnv
from genie_gym.errors import ConfigError

__all__ = ["DreamVecEnv"]

Indices = None | int | Iterable[int]


class DreamVecEnv(VecEnv):
    """N dreams in one forward pass, reset as they end, as Stable-Baselines3 expects.

        model = PPO("CnnPolicy", DreamVecEnv("Airstriker", num_envs=16, max_episode_steps=200))

    Args:
        game, num_envs, max_episode_steps, options: as of WorldModelVectorEnv, but `tensors` and `autoreset_mode`.
            Without a limit on the steps a dream goes on until the model says it ended.

    Observations are uint8 (N, 64, 64, 3), rewards float32 (N,); `infos[i]` holds "terminal_observation" and
    "TimeLimit.truncated" where dream i ended, and always "end_probability" and "game_reward", also where the reward is
    another (`reward="autoexplore"`). At each end "episode" holds the return "r" of the game's reward and the length
    "l", as VecMonitor would have it.

    Raises:
        CheckpointError, GameError, ConfigError: see the message.
    """

    def __init__(
        self, game: str | None = None, num_envs: int = 16, *, max_episode_steps: int | None = None, **options: Any
    ):
        if options.get("tensors"):
            raise ConfigError("Stable-Baselines3 takes arrays only; leave tensors out, or use WorldModelVectorEnv")
        if "autoreset_mode" in options:
            raise ConfigError("Stable-Baselines3 wants dreams reset as they end; leave autoreset_mode out")
        self.dreams = WorldModelVectorEnv(
            num_envs, game, max_episode_steps=max_episode_steps, autoreset_mode=AutoresetMode.SAME_STEP, **options
        )
        super().__init__(num_envs, self.dreams.single_observation_space, self.dreams.single_action_space)
        self.metadata = self.dreams.metadata
        self._chosen = np.zeros(num_envs, np.int64)
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)

    def reset(self) -> np.ndarray:
        """Begins all dreams, with the seeds of the last `seed` call and the options of the last `set_options`.

        Raises:
            ConfigError: dreams were given different options.
        """
        if any(options is not self._options[0] for options in self._options) and any(self._options):
            raise ConfigError("all dreams begin with the same options; give set_options a single dictionary")
        frames, _ = self.dreams.reset(seed=self._seeds, options=self._options[0])
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:] = 0, 0
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        self._chosen = np.asarray(actions)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        frames, rewards, ended, truncated, batch = self.dreams.step(self._chosen)
        told = ("end_probability", "game_reward")
        infos: list[dict[str, Any]] = [{name: float(batch[name][i]) for name in told} for i in range(self.num_envs)]
        self._returns += batch["game_reward"]
        self._lengths += 1
        for row in np.flatnonzero(ended | truncated):
            infos[row]["terminal_observation"] = batch["final_obs"][row]
            infos[row]["TimeLimit.truncated"] = bool(truncated[row] and not ended[row])
            infos[row]["episode"] = {"r": float(self._returns[row]), "l": int(self._lengths[row])}
            self._returns[row], self._lengths[row] = 0, 0
        return frames, rewards.astype(np.float32), ended | truncated, infos

    def close(self) -> None:
        self.dreams.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        return self.dreams.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """All dreams are one environment: its attribute, once for each index; the spaces are those of one dream."""
        name = f"single_{attr_name}" if attr_name in ("observation_space", "action_space") else attr_name
        return [getattr(self.dreams, name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        setattr(self.dreams, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        return [getattr(self.dreams, method_name)(*args, **kwargs)] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: Indices = None) -> list[bool]:
        return [False] * len(self._indices(indices))

    def _indices(self, indices: Indices) -> list[int]:
        return list(self._get_indices(indices))
