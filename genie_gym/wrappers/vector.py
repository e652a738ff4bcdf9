"""AutoExplore as the reward of a vector of environments, a `gymnasium.vector.VectorWrapper`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from genie_gym.envs.prompt import masked_rows, options_of
from genie_gym.errors import ConfigError
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.make import check_is, make_pipeline
from genie_gym.utils.options import make_config

__all__ = ["AutoExploreReward"]

StepResult = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class AutoExploreReward(
    gym.vector.VectorWrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    gym.utils.RecordConstructorArgs,
):
    """Reward the agent of N environments for the uncertainty of the world model, in one forward pass.

    All autoreset modes are supported. The past of an environment is forgotten when it is reset, a step that only resets
    is rewarded 0, and the step that ends an episode is rewarded for the last frame of that episode. Directly around an
    AsyncVectorEnv, the forward pass runs while the environments step. The first steps of an episode are rewarded 0,
    until it has context + horizon frames. With the defaults the first reward is that of the step to the fifth frame.

    `infos["game_reward"]`, float64 (N,), holds the game's own rewards, `infos["intrinsic_reward"]`, float32 (N,), the
    scores of the step, before centring, normalisation and coefficient, and `infos["scored"]`, bool (N,), where there
    was one: a score may be 0 too.

    Args:
        env: Environments with observations uint8 (N, s, s, 3) and the world model's Discrete actions.
        game: Name of a game. Its weights are looked for in the user's folder, then in the package.
        checkpoint: Checkpoint folder, or id of a model on the Hugging Face hub. Takes precedence over `game`.
        config: Options of the reward.
        options: Fields of RewardConfig, in place of `config`.

    Attributes:
        reward_pipeline: The RewardPipeline. Its `score.map` shows which places in the frames the last rewards came
            from. Set its `training` to False to freeze the running statistics while an agent is evaluated.

    Raises:
        ConfigError: An option is out of range, the world model does not fit the frames or actions, or the environments
            return torch tensors.
        CheckpointError: There are no weights.
        GameError: The game is unknown.
    """

    def __init__(
        self,
        env: VectorEnv,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        config: RewardConfig | None = None,
        **options: Any,
    ):
        config = make_config(RewardConfig, config, options)
        place = checkpoint and str(checkpoint)
        check_is(env, VectorEnv, "a vector of environments", "genie_gym.wrappers.AutoExploreReward takes a single one")
        gym.utils.RecordConstructorArgs.__init__(self, game=game, checkpoint=place, **asdict(config))
        gym.vector.VectorWrapper.__init__(self, env)
        if getattr(env.unwrapped, "tensors", False):
            raise ConfigError("the reward takes NumPy arrays; make the imagined environments without tensors=True")
        spaces = env.single_observation_space, env.single_action_space
        self.reward_pipeline = make_pipeline(
            env.num_envs, *spaces, game, checkpoint, config=config, action_meanings=_action_meanings(env)
        )
        # Gymnasium's own wrappers assume the same mode where an environment does not state it.
        self._mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._dones = np.zeros(env.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all episodes, or those in `options["reset_mask"]` (bool (N,)).

        With a seed for all of them, the steps that `score_interval` leaves out are the same every time.

        Raises:
            PromptError: The mask has the wrong shape or type. Nothing was reset.
        """
        options = options_of(options)
        if options.get("reset_mask", False) is None:
            del options["reset_mask"]  # all, which Gymnasium's own environments know by its absence alone
        mask = options.get("reset_mask")  # read first, because environments remove it from the options
        rows = np.isin(np.arange(self.num_envs), masked_rows(mask, self.num_envs))
        frames, infos = self.env.reset(seed=seed, options=options)
        self.reward_pipeline.check_frames(frames)
        self.reward_pipeline.reset(frames[rows], rows)
        if mask is None and seed is not None:
            self.reward_pipeline.reset_step_count()
        self._dones = self._dones & ~rows
        return frames, infos

    def step(self, actions: np.ndarray) -> StepResult:
        """Take one action in each environment.

        Raises:
            InvalidActionError: An action lies outside the action space. No environment was stepped.
        """
        only_resets = self._dones if self._mode == AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        frames, env_rewards, terminated, truncated, infos = self._step_and_score(actions, ~only_resets)
        dones = terminated | truncated
        reset_within = self._mode == AutoresetMode.SAME_STEP and dones.any()
        last_frames = _last_frames(frames, infos["final_obs"], dones) if reset_within else frames
        game_rewards = self._game_rewards(env_rewards, infos, dones)
        rewards = self.reward_pipeline.observe(last_frames, game_rewards)
        first = dones if reset_within else only_resets
        self.reward_pipeline.reset(frames[first], first)
        self._dones = dones
        scored = self.reward_pipeline.scored
        infos = self._with_rewards(infos, game_reward=game_rewards, intrinsic_reward=rewards.intrinsic, scored=scored)
        return frames, rewards.total, terminated, truncated, infos

    def _step_and_score(self, actions: np.ndarray, stepped: np.ndarray) -> StepResult:
        """Step the environments and score the step, in parallel where the environments run in other processes."""
        self.reward_pipeline.check_actions(actions)
        if isinstance(self.env, AsyncVectorEnv):
            self.env.step_async(actions)
            self.reward_pipeline.on_action(actions, stepped)
            return self.env.step_wait()
        result = self.env.step(actions)  # first, because an environment may raise an error
        self.reward_pipeline.on_action(actions, stepped)
        return result

    def _game_rewards(self, rewards: np.ndarray, infos: dict[str, Any], dones: np.ndarray) -> np.ndarray:
        """Return the game's own rewards. Imagined environments with another reward provide them in `infos`.

        Where an episode ended and the next one began in the same step, the infos of the last step are in `final_info`;
        those of the reset may have replaced them in `infos`.
        """
        current = infos.get("game_reward", rewards)
        if self._mode != AutoresetMode.SAME_STEP:
            return current
        return np.where(dones, infos.get("final_info", {}).get("game_reward", rewards), current)

    def _with_rewards(self, infos: dict[str, Any], **rewards: np.ndarray) -> dict[str, Any]:
        """Add rewards to the infos, with the masks that Gymnasium expects beside each entry."""
        masks = {f"_{name}": np.ones(self.num_envs, bool) for name in rewards}
        return {**infos, **rewards, **masks}


def _last_frames(frames: np.ndarray, final_obs: Any, dones: np.ndarray) -> np.ndarray:
    """Return the frames that the actions led to: where an episode ended, its last instead of the next one's first."""
    last = frames.copy()
    for row in np.flatnonzero(dones):
        last[row] = final_obs[row]
    return last


def _action_meanings(env: VectorEnv) -> Sequence[str] | None:
    """Return the names of the actions, where the environments provide them."""
    inner = env.unwrapped
    if hasattr(inner, "get_action_meanings"):
        return inner.get_action_meanings()
    if not isinstance(inner, SyncVectorEnv | AsyncVectorEnv):
        return None
    # A process of AsyncVectorEnv ends if it is asked for an attribute that its environment lacks.
    known = inner.call("has_wrapper_attr", "get_action_meanings")[0]
    return inner.call("get_action_meanings")[0] if known else None
