"""Reward wrappers for Stable-Baselines3: intrinsic rewards and the game's own, normalised to a deviation of 1."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.make import check_is, make_pipeline
from genie_gym.rewards.processor import RewardProcessor
from genie_gym.sb3.game_vec_env import TerminationAsTruncation
from genie_gym.sb3.imagined_vec_env import ImaginedVecEnv
from genie_gym.utils.jsonable import from_jsonable
from genie_gym.utils.options import make_config

__all__ = [
    "VecAutoExploreReward",
    "VecRewardProcessor",
    "get_reward_statistics",
    "make_imagined_vec_env",
    "set_reward_statistics",
    "wrap_reward",
]

STATISTICS = ("mean", "var", "count")  # of rewards


class VecAutoExploreReward(VecEnvWrapper):
    """Reward the agent of N environments for the uncertainty of the world model, in one forward pass.

        env = VecAutoExploreReward(VecMonitor(SubprocVecEnv([make_game] * 8)), game="Airstriker")
        model = PPO("CnnPolicy", env)

    The forward pass runs while the environments step, because it does not need the next frames. The first steps of an
    episode are rewarded 0, until it has context + horizon frames. With the defaults the first reward is that of the
    step to the fifth frame. A VecMonitor around this wrapper records the returns of this reward, and a VecMonitor
    inside it those of the game.

    `infos[i]["game_reward"]` holds the game's own reward, `infos[i]["intrinsic_reward"]` the score of the step, before
    centring, normalisation and coefficient, and `infos[i]["scored"]` whether there was one: a score may be 0 too.

    Args:
        venv: N environments with observations uint8 (s, s, 3) and the world model's Discrete actions. Apply
            VecFrameStack and VecTransposeImage to the result.
        game: Name of a game. Its weights are looked for in the user's folder, then in the package.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        config: Options of the reward.
        options: Fields of RewardConfig, in place of `config`.

    Attributes:
        reward_pipeline: The RewardPipeline. Its `score.map` shows which places in the frames the last rewards came
            from. Set its `training` to False to freeze the running statistics while an agent is evaluated.

    Raises:
        ConfigError: An option is out of range, or the world model does not fit the frames or actions.
        CheckpointError: There are no weights.
        GameError: The game is unknown.
    """

    def __init__(
        self,
        venv: VecEnv,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        config: RewardConfig | None = None,
        **options: Any,
    ):
        check_is(venv, VecEnv, "a VecEnv of Stable-Baselines3", "genie_gym.wrappers has those of Gymnasium")
        super().__init__(venv)
        self._seeded = False
        config, spaces = make_config(RewardConfig, config, options), (venv.observation_space, venv.action_space)
        self.reward_pipeline = make_pipeline(
            venv.num_envs, *spaces, game, checkpoint, config=config, action_meanings=_action_meanings(venv)
        )

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the seeds of the next reset, which then scores the same steps every time."""
        self._seeded = seed is not None
        return super().seed(seed)

    def reset(self) -> np.ndarray:
        """Start all episodes."""
        frames = self.venv.reset()
        assert isinstance(frames, np.ndarray)
        self.reward_pipeline.reset(frames)
        if self._seeded:
            self.reward_pipeline.reset_step_count()
        self._seeded = False
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        """Begin a step.

        Raises:
            InvalidActionError: An action lies outside the action space. No environment was stepped.
        """
        self.reward_pipeline.check_actions(actions)
        self.venv.step_async(actions)
        self.reward_pipeline.on_action(actions)  # while the environments step

    def step_wait(self) -> VecEnvStepReturn:
        """Return the frames, rewards (float32 (N,)), dones and infos of the step."""
        frames, env_rewards, dones, infos = self.venv.step_wait()
        assert isinstance(frames, np.ndarray)
        # Imagined environments with another reward provide the game's own in their infos.
        game_rewards = np.array([info.get("game_reward", own) for info, own in zip(infos, env_rewards, strict=True)])
        rewards = self.reward_pipeline.observe(_last_frames(frames, dones, infos), game_rewards)
        self.reward_pipeline.reset(frames[dones], dones)
        columns = zip(infos, game_rewards, rewards.intrinsic, self.reward_pipeline.scored, strict=True)
        infos = [
            {**info, "game_reward": float(own), "intrinsic_reward": float(score), "scored": bool(scored)}
            for info, own, score, scored in columns
        ]
        return frames, rewards.total.astype(np.float32), dones, infos


class VecRewardProcessor(VecEnvWrapper):
    """Centre and normalise the rewards of environments whose reward is an intrinsic one in every step.

    `infos[i]["intrinsic_reward"]` holds the reward before that; `infos[i]["scored"]` is True.

    Args:
        venv: N environments.
        config: Options of the reward. `center`, `normalize`, `gamma` and `coefficient` are used.

    Attributes:
        processor: The RewardProcessor, which holds the running statistics.
    """

    def __init__(self, venv: VecEnv, config: RewardConfig):
        super().__init__(venv)
        self.processor = RewardProcessor(venv.num_envs, config)

    def reset(self):  # type: ignore[no-untyped-def]
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        frames, intrinsic, dones, infos = self.venv.step_wait()
        for info, reward in zip(infos, intrinsic, strict=True):
            info.update(intrinsic_reward=float(reward), scored=True)
        rewards = self.processor(intrinsic, np.ones(self.num_envs, bool))
        return frames, rewards.astype(np.float32), dones, infos


def wrap_reward(env: VecEnv, reward: str, game: str, checkpoint: str | Path | None = None, **options: Any) -> VecEnv:
    """Give games the reward of that name, centred and normalised.

    Args:
        env: Games from `make_game_vec_env`.
        reward: "game", or the name of an intrinsic reward of RewardConfig. With an intrinsic reward, terminations
            count as truncations; see TerminationAsTruncation.
        game: Name of the game whose world model scores the steps.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        options: Further fields of RewardConfig, for an intrinsic reward.
    """
    if reward == "game":
        return VecNormalize(env, norm_obs=False)
    config = make_config(RewardConfig, None, {"center": True, "normalize": True} | options | {"reward": reward})
    return TerminationAsTruncation(VecAutoExploreReward(env, game, checkpoint, config))


def make_imagined_vec_env(
    game: str,
    reward: str,
    checkpoint: str | Path | None = None,
    *,
    num_envs: int = 8,
    max_steps: int = 1000,
    **options: Any,
) -> VecEnv:
    """Return imagined environments with the rewards that `wrap_reward` gives real games.

    Args:
        game: Name of the game.
        reward: "game", or "autoexplore" for the model's uncertainty about the next frame. With the latter,
            terminations count as truncations.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        num_envs: Number of environments.
        max_steps: Maximum number of steps in an episode.
        options: Further options of ImaginedVecEnv.
    """
    env = ImaginedVecEnv(game, num_envs, checkpoint=checkpoint, reward=reward, max_episode_steps=max_steps, **options)
    if reward == "game":
        return VecNormalize(env, norm_obs=False)
    return TerminationAsTruncation(VecRewardProcessor(env, RewardConfig(center=True, normalize=True)))


def get_reward_statistics(env: VecEnv) -> dict[str, dict[str, float]]:
    """Return the running statistics of the wrapper that normalises the reward.

    Returns:
        "mean", "var" and "count" of the discounted sums ("returns") and, for intrinsic rewards, of the rewards
        themselves ("rewards"). Empty without such a wrapper.
    """
    return {name: {field: float(getattr(one, field)) for field in STATISTICS} for name, one in _statistics(env).items()}


def set_reward_statistics(env: VecEnv, statistics: dict[str, dict[str, float]]) -> None:
    """Restore what `get_reward_statistics` returned, to resume a training. Empty statistics change nothing.

    Raises:
        ValueError: They are none of this environment's.
    """
    found = _statistics(env)
    for name, fields in from_jsonable(dict[str, dict[str, float]], statistics, "reward_statistics").items():
        possible = all(np.isfinite(value) for value in fields.values()) and fields.get("var", -1) >= 0
        if name not in found or fields.keys() != set(STATISTICS) or not possible or fields["count"] < 0:
            raise ValueError(f"its reward_statistics are {statistics!r:.100}")
        vars(found[name]).update(fields)


def _statistics(env: VecEnv) -> dict[str, Any]:
    """Return the running statistics of Gymnasium or Stable-Baselines3, by what they are of."""
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize):
            return {"returns": env.ret_rms}
        if isinstance(env, VecAutoExploreReward):
            return env.reward_pipeline.processor.statistics
        if isinstance(env, VecRewardProcessor):
            return env.processor.statistics
        env = env.venv
    return {}


def _last_frames(frames: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> np.ndarray:
    """Return the frames that the actions led to: where an episode ended, its last instead of the next one's first."""
    last = frames.copy()
    for row in np.flatnonzero(dones):
        last[row] = infos[row]["terminal_observation"]
    return last


def _action_meanings(venv: VecEnv) -> Sequence[str] | None:
    """Return the names of the actions, where the environments provide them."""
    return venv.env_method("get_action_meanings", indices=0)[0] if venv.has_attr("get_action_meanings") else None
