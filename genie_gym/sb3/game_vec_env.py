"""Many copies of a real game as one Stable-Baselines3 VecEnv, each emulator in a process of its own."""

import multiprocessing
import signal
from functools import partial

from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecEnvWrapper, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from genie_gym import games
from genie_gym.errors import ConfigError, GameError

__all__ = ["EndsAreTruncations", "make_game_vec_env"]


def make_game_vec_env(game: str, num_envs: int, *, seed: int = 0, max_steps: int = 1000) -> VecEnv:
    """Real games that start at random savestates and moments, with the game's own reward and episode statistics.

    Args:
        game: canonical name, "Airstriker-Genesis".
        num_envs: copies of the game. An emulator fills its process, so each has its own; the toy game runs in this one.
        seed: of the starts; copy i has seed + i.
        max_steps: an episode is truncated after so many actions.

    Returns:
        uint8 (n, 64, 64, 3) pictures and Discrete actions; `infos[i]["episode"]` at each end holds return "r" and
        length "l".

    Raises:
        GameError: the game is unknown or does not start.
        ConfigError: no copy or no step is asked for.

    Scripts must call it under `if __name__ == "__main__":`, because the processes import the script.
    """
    if min(num_envs, max_steps) < 1:
        raise ConfigError(f"num_envs and max_steps must be at least 1, got {num_envs} and {max_steps}")
    spec = games.find(game)
    maker = partial(games.make, spec, max_steps=max_steps)
    env: VecEnv
    if spec.system == "Numpy":
        env = DummyVecEnv([maker] * num_envs)
    else:
        _check_start(spec)
        # The server loads torch once for all copies; forking this process itself would copy its threads' locks.
        multiprocessing.set_forkserver_preload([__name__])
        try:
            env = SubprocVecEnv([partial(_open, maker)] * num_envs, start_method="forkserver")
        except (EOFError, ConnectionError) as error:
            raise GameError(f"{spec.name} did not start in its own process; see the message above") from error
    env.seed(seed)
    return VecMonitor(env)


def _check_start(spec: games.GameSpec) -> None:
    """A game that cannot start says why here; in a worker process it would only break the pipe."""
    if not games.available(spec.name):
        games.make(spec).close()


def _open(maker: partial) -> games.GameEnv:
    """In a worker process: the parent decides what Ctrl-C means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return maker()


class EndsAreTruncations(VecEnvWrapper):
    """Says of every end that a limit cut the episode, so that algorithms add the value of what would have followed.

    An intrinsic reward is never negative: with ends worth nothing, staying alive would pay more than finding anything.
    `infos[i]["game_over"]` keeps whether the game itself ended.
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
