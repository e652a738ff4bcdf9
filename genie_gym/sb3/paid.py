"""What games and dreams pay their agent: an intrinsic reward or the game's own, scaled to a deviation of about 1."""

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from genie_gym.rewards.scale import ReturnScale, RewardLevel
from genie_gym.sb3.dream_vec_env import DreamVecEnv
from genie_gym.sb3.game_vec_env import EndsAreTruncations
from genie_gym.sb3.vec_autoexplore_reward import VecAutoExploreReward

__all__ = ["get_scale", "pay", "paying_dreams", "set_scale"]

FIELDS = ("mean", "var", "count")


def pay(
    env: VecEnv,
    reward: str,
    game: str,
    checkpoint: str | Path | None = None,
    *,
    every: int = 1,
    compile: bool = False,
    device: str = "auto",
) -> VecEnv:
    """Wraps games so that they pay the reward of that name.

    Args:
        env: of `make_game_vec_env`.
        reward: "game", or one of `genie_gym.rewards`, with which ends count as limits (see EndsAreTruncations).
        game, checkpoint: where the world model comes from, as for VecAutoExploreReward.
        every: an intrinsic reward is that of one step in so many.
        compile, device: of the world model's scoring.
    """
    if reward == "game":
        return VecNormalize(env, norm_obs=False)
    how: dict[str, Any] = {"every": every, "compile": compile, "device": device}
    return EndsAreTruncations(
        VecAutoExploreReward(env, game, checkpoint, reward=reward, center=True, normalize=True, **how)
    )


def paying_dreams(
    game: str,
    reward: str,
    checkpoint: str | Path | None = None,
    *,
    num_envs: int = 8,
    max_steps: int = 1000,
    compile: bool = False,
    device: str = "auto",
) -> VecEnv:
    """Dreams that pay as `pay` makes games pay; on the model's uncertainty ends count as limits here, too.

    Args:
        game, checkpoint, num_envs, compile, device: as of DreamVecEnv.
        reward: "game" or "autoexplore", what the model is unsure of one frame ahead.
        max_steps: longest episode.
    """
    how: dict[str, Any] = {"max_episode_steps": max_steps, "compile": compile, "device": device}
    dreams = DreamVecEnv(game, num_envs, checkpoint=checkpoint, reward=reward, **how)
    return VecNormalize(dreams, norm_obs=False) if reward == "game" else EndsAreTruncations(CentredReward(dreams))


class CentredReward(VecEnvWrapper):
    """Takes the running mean off the rewards and scales what is left, as VecAutoExploreReward can.

    `infos[i]["intrinsic_reward"]` keeps the reward as it was paid.
    """

    def __init__(self, venv: VecEnv):
        super().__init__(venv)
        self.level, self.scale, self._all = RewardLevel(), ReturnScale(venv.num_envs), np.ones(venv.num_envs, bool)

    def reset(self):  # type: ignore[no-untyped-def]
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        for info, paid in zip(infos, rewards, strict=True):
            info["intrinsic_reward"] = float(paid)
        self.level.update(rewards, self._all)
        centred = self.level(rewards, self._all)
        self.scale.update(centred, self._all)
        return frames, self.scale(centred).astype(np.float32), dones, infos


def get_scale(env: VecEnv) -> dict[str, float]:
    """Mean, variance and count of the rewards and of their discounted sums so far; empty where no wrapper scales."""
    found = _statistics(env)
    return {f"{what} {field}": float(getattr(one, field)) for what, one in found.items() for field in FIELDS}


def set_scale(env: VecEnv, scale: dict[str, float]) -> None:
    """Puts back what `get_scale` gave, so that a training can go on; an empty scale changes nothing."""
    found = _statistics(env)
    for name, value in scale.items():
        what, field = name.split()
        setattr(found[what], field, value)


def _statistics(env: VecEnv) -> dict[str, Any]:
    """Running statistics of the wrapper that scales, by what they are of."""
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize):
            return {"returns": env.ret_rms}
        if isinstance(env, VecAutoExploreReward):
            return {"returns": env.reward_stream.scale.statistics, "rewards": env.reward_stream.level.statistics}
        if isinstance(env, CentredReward):
            return {"returns": env.scale.statistics, "rewards": env.level.statistics}
        env = env.venv
    return {}
