"""VecAutoExploreReward: AutoExplore as the reward of a Stable-Baselines3 VecEnv."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from genie_gym.rewards import RewardOptions, RewardStream, make_reward, sizes

__all__ = ["VecAutoExploreReward"]


class VecAutoExploreReward(VecEnvWrapper):
    """Pays N environments for what the world model is unsure of, all of them in one forward pass.

        env = VecAutoExploreReward(VecMonitor(SubprocVecEnv([make_game] * 8)), game="Airstriker")
        model = PPO("CnnPolicy", env)

    The pass runs while the environments step, as no reward needs the frame it is for. An episode's first steps are
    paid 0 until it has context + horizon frames, the step to the fifth with the defaults being the first that is paid.
    Below VecMonitor the episode statistics are of this reward, above it of the game's.

    Args:
        venv: N environments with observations uint8 (s, s, 3) and the world model's Discrete actions; wrap it before
            VecFrameStack and VecTransposeImage.
        game: name of a game; its weights are looked for in the user's folder, then in the package.
        checkpoint: a checkpoint folder or the id of a model on the Hugging Face hub; overrules `game`.
        options: of `genie_gym.rewards.RewardOptions`: mode="replace" or "add", coefficient, center, normalize, gamma,
            every, context, horizon, quantile, steps, device, precision, reward (for a baseline in AutoExplore's place),
            seed.

    `infos[i]["game_reward"]` keeps the game's own reward, `infos[i]["intrinsic_reward"]` the intrinsic one as it was
    scored, before normalisation and coefficient.

    Attributes:
        reward_stream: the RewardStream; its `score.map` shows where in the picture the last rewards came from, and
            `training = False` holds centring and normalisation still, for evaluation.

    Raises:
        ConfigError: an option out of range, or pictures or actions that the world model does not know.
        CheckpointError, GameError: no weights, or an unknown game.
    """

    def __init__(self, venv: VecEnv, game: str | None = None, checkpoint: str | Path | None = None, **options: Any):
        super().__init__(venv)
        chosen, spaces = RewardOptions(**options), (venv.observation_space, venv.action_space)
        reward = make_reward(*spaces, game, checkpoint, _meanings(venv), options=chosen)
        self.reward_stream = RewardStream(reward, venv.num_envs, *sizes(*spaces), chosen)

    def reset(self) -> np.ndarray:
        """Begins all episodes."""
        frames = self.venv.reset()
        assert isinstance(frames, np.ndarray)
        self.reward_stream.begin(frames)
        self.reward_stream.restart()
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        """Raises InvalidActionError, before any environment steps, where an action lies outside the action space."""
        self.reward_stream.check(actions)
        self.venv.step_async(actions)
        self.reward_stream.act(actions)  # the environments step meanwhile

    def step_wait(self) -> VecEnvStepReturn:
        """Frames, this reward (float32 (N,)), dones and infos of the step."""
        frames, game_rewards, dones, infos = self.venv.step_wait()
        assert isinstance(frames, np.ndarray)
        last = frames
        if dones.any():
            last = frames.copy()
            for row in np.flatnonzero(dones):
                last[row] = infos[row]["terminal_observation"]
        # Dreams that are paid otherwise tell the game's own.
        game_rewards = np.array([info.get("game_reward", own) for info, own in zip(infos, game_rewards, strict=True)])
        rewards = self.reward_stream.see(last, game_rewards)
        self.reward_stream.begin(frames[dones], dones)
        told = zip(infos, game_rewards, rewards.intrinsic, strict=True)
        infos = [{**info, "game_reward": float(own), "intrinsic_reward": float(paid)} for info, own, paid in told]
        return frames, rewards.total.astype(np.float32), dones, infos


def _meanings(venv: VecEnv) -> Sequence[str] | None:
    """Names of the actions, where the environments tell them."""
    return venv.env_method("get_action_meanings", indices=0)[0] if venv.has_attr("get_action_meanings") else None
