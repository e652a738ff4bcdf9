"""Recording the episodes that an agent learns from."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from genie_gym.data.episode import Episode

__all__ = ["VecEpisodeRecorder"]


@dataclass
class _PartialEpisode:
    """The current episode of one environment so far."""

    frames: list[np.ndarray]
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def finish(self, truncated: bool) -> Episode:
        actions, rewards = np.array(self.actions, np.int64), np.array(self.rewards, np.float32)
        return Episode(np.stack(self.frames), actions, rewards, terminated=not truncated, truncated=truncated)


class VecEpisodeRecorder(VecEnvWrapper):
    """Pass on each episode when it ends. `close` and `reset` truncate the current episodes.

    Args:
        venv: Games from `make_game_vec_env`, not yet wrapped by anything that changes frames or rewards.
        on_episode: Called with each episode: its frames, actions, the game's own rewards, and how it ended.
    """

    def __init__(self, venv: VecEnv, on_episode: Callable[[Episode], object]):
        super().__init__(venv)
        self._on_episode = on_episode
        self._episodes: list[_PartialEpisode] = []
        self._actions = np.empty(0, np.int64)

    def reset(self) -> VecEnvObs:
        self._truncate()
        frames = self.venv.reset()
        self._episodes = [_PartialEpisode([frame.copy()]) for frame in frames]  # type: ignore[union-attr]
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = np.array(actions)
        super().step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        for i, episode in enumerate(self._episodes):
            episode.actions.append(int(self._actions[i]))
            episode.rewards.append(float(rewards[i]))
            episode.frames.append(infos[i]["terminal_observation"] if dones[i] else frames[i].copy())  # type: ignore
            if dones[i]:
                self._on_episode(episode.finish(truncated=infos[i]["TimeLimit.truncated"]))
                self._episodes[i] = _PartialEpisode([frames[i].copy()])  # type: ignore[index]
        return frames, rewards, dones, infos

    def close(self) -> None:
        self._truncate()
        super().close()

    def _truncate(self) -> None:
        for episode in self._episodes:
            if episode.actions:
                self._on_episode(episode.finish(truncated=True))
        self._episodes = []
