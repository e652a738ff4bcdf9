"""Real games on the nodes of a Ray cluster as a Stable-Baselines3 VecEnv."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from genie_gym.errors import GameError, GenieGymError, first_line
from genie_gym.utils.parallel.cluster import RayCluster

__all__ = ["ClusterVecEnv"]

MAX_LOSSES = 3  # processes of one game that may die without a step between

Indices = None | int | Iterable[int]


class ClusterVecEnv(VecEnv):
    """Games in processes on the nodes of a Ray cluster, one process each, spread over the nodes.

    Steps, seeds and infos are those of Stable-Baselines3's own vectors of the same games, whatever the nodes are. The
    game of a process that dies, alone or with its node, starts anew on another node: for its episode this is a
    truncation, with reward 0, after the frame before; `infos[i]["lost"]` is then true.

    Args:
        cluster: The cluster.
        makers: Functions that make the games.

    Raises:
        GenieGymError: From any method: an error of a game, or a game's processes died again and again.
    """

    def __init__(self, cluster: RayCluster, makers: Sequence[Callable[[], gym.Env]]):
        self._ray, self._makers = cluster.ray, list(makers)
        # With more games than CPUs, several share one.
        share = min(1.0, cluster.cpus() / len(self._makers))
        self._kind = self._ray.remote(num_cpus=share, max_restarts=0, scheduling_strategy="SPREAD")(_RemoteGame)
        self._games = [self._kind.remote(maker) for maker in self._makers]
        self._losses, self._in_a_row = [0] * len(self._games), [0] * len(self._games)
        self._first_seeds: list[int | None] = [None] * len(self._games)
        self._frames: list[np.ndarray] = []  # the newest of each game
        self._answers: list[Any] = []
        observation_space, action_space = self._ask(0, "spaces")
        super().__init__(len(self._games), observation_space, action_space)

    def reset(self) -> VecEnvObs:
        """Start all episodes, with the seeds of the last `seed` call."""
        for row, seed in enumerate(self._seeds):
            self._first_seeds[row] = self._first_seeds[row] if seed is None else seed
        told = zip(self._games, self._seeds, self._options, strict=True)
        answers = [game.reset.remote(seed, options) for game, seed, options in told]
        for row, answer in enumerate(answers):
            try:
                answers[row] = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                answers[row] = self._begin_anew(row, error)
        self._reset_seeds()
        self._reset_options()
        self._frames, self.reset_infos = (list(values) for values in zip(*answers, strict=True))
        return np.stack(self._frames)

    def step_async(self, actions: np.ndarray) -> None:
        self._answers = [game.step.remote(action) for game, action in zip(self._games, actions, strict=True)]

    def step_wait(self) -> VecEnvStepReturn:
        steps = [self._step(row, answer) for row, answer in enumerate(self._answers)]
        self._frames, rewards, dones, infos, self.reset_infos = (list(values) for values in zip(*steps, strict=True))
        return np.stack(self._frames), np.array(rewards, np.float32), np.array(dones), infos

    def close(self) -> None:
        for game in self._games:
            self._ray.kill(game)
        self._games = []

    def get_images(self) -> Sequence[np.ndarray | None]:
        return self.env_method("render")

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        return [self._ask(row, "get", attr_name) for row in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        for row in self._get_indices(indices):
            self._ask(row, "set", attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        return [self._ask(row, "call", method_name, args, kwargs) for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Indices = None) -> list[bool]:
        return [self._ask(row, "is_wrapped", wrapper_class) for row in self._get_indices(indices)]

    def _step(self, row: int, answer: Any) -> tuple[np.ndarray, float, bool, dict[str, Any], dict[str, Any]]:
        """Return the result of a step as Stable-Baselines3 has it, and the info of the last reset."""
        try:
            result: tuple[np.ndarray, float, bool, dict[str, Any], dict[str, Any]] = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            frame, reset_info = self._begin_anew(row, error)
            info = {"terminal_observation": self._frames[row], "TimeLimit.truncated": True, "lost": True}
            return frame, 0.0, True, info, reset_info
        self._in_a_row[row] = 0
        return result

    def _ask(self, row: int, method: str, *arguments: Any) -> Any:
        """Call a method of a game's process, of a new one if it has died."""
        try:
            return self._ray.get(getattr(self._games[row], method).remote(*arguments))
        except self._ray.exceptions.RayError as error:
            self._begin_anew(row, error)
            return self._ray.get(getattr(self._games[row], method).remote(*arguments))

    def _begin_anew(self, row: int, error: Exception) -> tuple[np.ndarray, dict[str, Any]]:
        """Replace the process of a game, and start an episode there; return its first frame and info."""
        if isinstance(error, self._ray.exceptions.RayTaskError):  # the process is well, the game is not
            cause = getattr(error, "cause", error)
            raise cause if isinstance(cause, GenieGymError) else GameError(f"a game failed: {first_line(cause)}")
        self._losses[row] += 1
        self._in_a_row[row] += 1
        if self._in_a_row[row] > MAX_LOSSES:
            raise GenieGymError(
                f"processes of games on the Ray cluster die again and again ({first_line(error)}); see its logs. The "
                "same command resumes from the last save"
            )
        warnings.warn("a game on the Ray cluster died, and its episode is lost; it starts anew", stacklevel=2)
        self._ray.kill(self._games[row])  # or it might only be out of reach
        # Beside the games of the nodes that are left: with a node's CPUs gone, it would wait for one for ever.
        self._games[row] = self._kind.options(num_cpus=0).remote(self._makers[row])
        seed = np.random.SeedSequence([self._first_seeds[row] or 0, self._losses[row]]).generate_state(1)[0] >> 1
        try:
            begun: tuple[np.ndarray, dict[str, Any]] = self._ray.get(self._games[row].reset.remote(int(seed), {}))
        except self._ray.exceptions.RayError as again:
            return self._begin_anew(row, again)
        return begun


class _RemoteGame:
    """The actor: a vector of one game, from which Stable-Baselines3's own handling of episodes comes."""

    def __init__(self, maker: Callable[[], gym.Env]):
        self._venv = DummyVecEnv([maker])

    def spaces(self) -> tuple[gym.Space, gym.Space]:
        return self._venv.observation_space, self._venv.action_space

    def reset(self, seed: int | None, options: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self._venv.seed(seed)
        self._venv.set_options(options)
        frames: Any = self._venv.reset()
        return frames[0], self._venv.reset_infos[0]

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, dict[str, Any], dict[str, Any]]:
        frames: Any
        frames, rewards, dones, infos = self._venv.step(np.array([action]))
        return frames[0], float(rewards[0]), bool(dones[0]), infos[0], self._venv.reset_infos[0]

    def get(self, name: str) -> Any:
        return self._venv.get_attr(name)[0]

    def set(self, name: str, value: Any) -> None:
        self._venv.set_attr(name, value)

    def call(self, name: str, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        return self._venv.env_method(name, *arguments, **options)[0]

    def is_wrapped(self, kind: type[gym.Wrapper]) -> bool:
        return self._venv.env_is_wrapped(kind)[0]
