"""Keeping the play that an agent learns from."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from genie_gym.data import Episode

__all__ = ["RecordedPlay"]


@dataclass
class _Steps:
    """One copy's episode so far."""

    frames: list[np.ndarray]
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


class RecordedPlay(VecEnvWrapper):
    """Hands over the episodes of some games as they are played; `close` and `reset` cut short what is under way.

    Args:
        venv: of `make_game_vec_env`, not yet wrapped by anything that changes pictures or rewards.
        keep: called with each episode: its frames, actions, the game's own rewards, and how it ended.
    """

    def __init__(self, venv: VecEnv, keep: Callable[[Episode], object]):
        super().__init__(venv)
        self._keep = keep
        self._playing: list[_Steps] = []
        self._actions = np.empty(0, np.int64)

    def reset(self) -> VecEnvObs:
        self._cut_short()
        frames = self.venv.reset()
        self._playing = [_Steps([frame.copy()]) for frame in frames]  # type: ignore[union-attr]
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = np.array(actions)
        super().step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        for i, steps in enumerate(self._playing):
            steps.actions.append(int(self._actions[i]))
            steps.rewards.append(float(rewards[i]))
            steps.frames.append(infos[i]["terminal_observation"] if dones[i] else frames[i].copy())  # type: ignore
            if dones[i]:
                self._keep(_episode(steps, truncated=infos[i]["TimeLimit.truncated"]))
                self._playing[i] = _Steps([frames[i].copy()])  # type: ignore[index]
        return frames, rewards, dones, infos

    def close(self) -> None:
        self._cut_short()
        super().close()

    def _cut_short(self) -> None:
        for steps in self._playing:
            if steps.actions:
                self._keep(_episode(steps, truncated=True))
        self._playing = []


def _episode(steps: _Steps, truncated: bool) -> Episode:
    actions, rewards = np.array(steps.actions, np.int64), np.array(steps.rewards, np.float32)
    return Episode(np.stack(steps.frames), actions, rewards, terminated=not truncated, truncated=truncated)
