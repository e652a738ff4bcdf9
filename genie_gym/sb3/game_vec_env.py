"""Real games as a Stable-Baselines3 VecEnv, each emulator in its own process."""

import multiprocessing
import signal
from functools import partial
from multiprocessing import forkserver

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecEnvWrapper, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from genie_gym import games
from genie_gym.errors import ClosedError, ConfigError, GameError
from genie_gym.sb3.cluster_vec_env import ClusterVecEnv
from genie_gym.utils.parallel.cluster import RayCluster
from genie_gym.utils.signals import interrupts_held
from genie_gym.utils.validation import MOST_GAMES, check_seed, typed

__all__ = ["GameVecEnv", "TerminationAsTruncation", "make_game_vec_env"]


def make_game_vec_env(
    game: str | games.GameSpec,
    num_envs: int,
    *,
    seed: int = 0,
    max_steps: int = 1000,
    cluster: RayCluster | None = None,
) -> VecEnv:
    """Return real games that start at random savestates and moments, with the game's own reward.

    Scripts must call it under `if __name__ == "__main__":`, because the emulators' processes import the script.

    Args:
        game: Name of the game, for example "Airstriker-Genesis"; or the specification of your own, see `games.own`.
        num_envs: Number of environments N. Each emulator runs in its own process, the toy game in this one.
        seed: Random seed of the initial states. Environment i has seed + i.
        max_steps: Number of actions after which an episode is truncated.
        cluster: A Ray cluster on whose nodes the games run, in place of processes here; the episodes are the same.

    Returns:
        Environments with observations uint8 (N, 64, 64, 3) and Discrete actions. At the end of an episode
        `infos[i]["episode"]` holds the return "r" and the length "l".

    Raises:
        GameError: The game is unknown or does not start.
        ConfigError: `num_envs` or `max_steps` is less than 1, or `num_envs` above 1024.
    """
    num_envs, max_steps = typed("num_envs", num_envs, int), typed("max_steps", max_steps, int)
    if min(num_envs, max_steps) < 1:
        raise ConfigError(f"num_envs and max_steps must be at least 1, got {num_envs} and {max_steps}")
    if num_envs > MOST_GAMES:
        raise ConfigError(f"num_envs must be {MOST_GAMES} or less, as each is a game of its own; got {num_envs}")
    check_seed(seed)
    spec = game if isinstance(game, games.GameSpec) else games.find(game)
    maker = partial(games.make, spec, max_steps=max_steps)
    env: VecEnv
    if cluster is not None:
        env = ClusterVecEnv(cluster, [maker] * num_envs)
    elif spec.system == "Numpy":
        env = DummyVecEnv([maker] * num_envs)
    else:
        _check_start(spec)
        # The server loads torch once for all processes. Forking this process would copy the locks of its threads.
        multiprocessing.set_forkserver_preload([__name__])
        with interrupts_held():  # the parent decides what Ctrl-C means
            forkserver.ensure_running()
        try:
            env = SubprocVecEnv([partial(_open, maker)] * num_envs, start_method="forkserver")
        except (EOFError, ConnectionError) as error:
            raise GameError(f"{spec.name} did not start in its own process; see the message above") from error
    env.seed(seed)
    return GameVecEnv(env)


class GameVecEnv(VecMonitor):
    """Games whose infos hold returns and lengths of episodes; they say so when they are used after `close()`."""

    _closed = False

    def reset(self) -> VecEnvObs:
        self._check_open()
        return super().reset()

    def step_async(self, actions: np.ndarray) -> None:
        self._check_open()
        super().step_async(actions)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            super().close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the games are closed; make new ones to go on")


def _check_start(spec: games.GameSpec) -> None:
    """Raise the error of a game that cannot start here; in a worker process it would only break the pipe."""
    if spec.env is not None or not games.available(spec.name):
        games.make(spec).close()


def _open(maker: partial) -> games.GameEnv:
    """Make the game in a worker process, which ignores Ctrl-C because the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return maker()


class TerminationAsTruncation(VecEnvWrapper):
    """Report every end of an episode as a truncation, so that algorithms bootstrap from the value of the last state.

    An intrinsic reward is never negative. With a value of 0 after the end, survival would be rewarded more than
    discovery. `infos[i]["game_over"]` holds whether the game itself ended.
    """

    def reset(self):  # type: ignore[no-untyped-def]
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        for done, info in zip(dones, infos, strict=True):
            if done:
                info["game_over"] = not info["TimeLimit.truncated"]
                info["TimeLimit.truncated"] = True
        return frames, rewards, dones, infos
