"""AutoExploreReward for many environments, a `gymnasium.vector.VectorWrapper`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from genie_gym.errors import ConfigError
from genie_gym.rewards import RewardOptions, RewardStream, make_reward, sizes

__all__ = ["AutoExploreReward"]

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class AutoExploreReward(
    gym.vector.VectorWrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    gym.utils.RecordConstructorArgs,
):
    """Pays the agent of N environments for what the world model is unsure of, all of them in one forward pass.

    All autoreset modes are understood: the past of an environment is forgotten when it is reset, a step that only
    resets is paid 0, and the step that ends an episode is paid for the episode's own last frame. Right around an
    AsyncVectorEnv, the pass runs while the environments step. An episode's first steps are paid 0 until it has
    context + horizon frames; with the defaults the step that leads to the fifth frame is the first that is paid.

    Args:
        env: observations uint8 (N, s, s, 3) and the world model's Discrete actions.
        game: name of a game; its weights are looked for in the user's folder, then in the package.
        checkpoint: a checkpoint folder or the id of a model on the Hugging Face hub; overrules `game`.
        options: of `genie_gym.rewards.RewardOptions`: mode="replace" or "add", coefficient, center, normalize, gamma,
            every, context, horizon, quantile, steps, device, precision, reward (for a baseline in AutoExplore's place),
            seed.

    `infos["game_reward"]`, float64 (N,), keeps the game's own rewards; `infos["intrinsic_reward"]`, float32 (N,), the
    intrinsic ones as they were scored, before normalisation and coefficient.

    Attributes:
        reward_stream: the RewardStream; its `score.map` shows where in the picture the last rewards came from, and
            `training = False` holds centring and normalisation still, for evaluation.

    Raises:
        ConfigError: an option out of range, pictures or actions that the world model does not know, or torch tensors.
        CheckpointError, GameError: no weights, or an unknown game.
    """

    def __init__(self, env: VectorEnv, game: str | None = None, checkpoint: str | Path | None = None, **options: Any):
        gym.utils.RecordConstructorArgs.__init__(self, game=game, checkpoint=checkpoint and str(checkpoint), **options)
        gym.vector.VectorWrapper.__init__(self, env)
        if getattr(env.unwrapped, "tensors", False):
            raise ConfigError("the reward takes NumPy arrays; make the dreams without tensors=True")
        chosen = RewardOptions(**options)
        spaces = env.single_observation_space, env.single_action_space
        reward = make_reward(*spaces, game, checkpoint, _meanings(env), options=chosen)
        self.reward_stream = RewardStream(reward, env.num_envs, *sizes(*spaces), chosen)
        # What Gymnasium's own wrappers take for granted where an environment does not say.
        self._mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._over = np.zeros(env.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins all episodes, or those in `options["reset_mask"]` (bool (N,))."""
        mask = (options or {}).get("reset_mask")  # read before environments take it out of the options
        frames, infos = self.env.reset(seed=seed, options=options)
        rows = np.ones(self.num_envs, bool) if mask is None else np.asarray(mask)
        self.reward_stream.begin(frames[rows], rows)
        if mask is None:
            self.reward_stream.restart()
        self._over = self._over & ~rows
        return frames, infos

    def step(self, actions: np.ndarray) -> Arrays:
        """Takes one action in each environment.

        Raises:
            InvalidActionError: an action lies outside the action space; no environment has been stepped.
        """
        resets = self._over if self._mode == AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        frames, game_rewards, terminated, truncated, infos = self._advance(actions, ~resets)
        over = terminated | truncated
        same_step = self._mode == AutoresetMode.SAME_STEP and over.any()
        last = self._last_frames(frames, infos["final_obs"], over) if same_step else frames
        game_rewards = self._own_rewards(game_rewards, infos, over)
        rewards = self.reward_stream.see(last, game_rewards)
        begun = over if same_step else resets
        self.reward_stream.begin(frames[begun], begun)
        self._over = over
        everyone = np.ones(self.num_envs, bool)
        told = {"game_reward": game_rewards, "intrinsic_reward": rewards.intrinsic}
        infos = {**infos, **told, **{f"_{name}": everyone.copy() for name in told}}
        return frames, rewards.total, terminated, truncated, infos

    def _advance(self, actions: np.ndarray, live: np.ndarray) -> Arrays:
        """Steps the environments and scores the step, both at once where they run in processes of their own."""
        self.reward_stream.check(actions)
        if isinstance(self.env, AsyncVectorEnv):
            self.env.step_async(actions)
            self.reward_stream.act(actions, live)
            return self.env.step_wait()
        stepped = self.env.step(actions)  # first, as an environment may refuse
        self.reward_stream.act(actions, live)
        return stepped

    def _own_rewards(self, rewards: np.ndarray, infos: dict[str, Any], over: np.ndarray) -> np.ndarray:
        """The game's rewards of the step: dreams that are paid otherwise tell them.

        Where an episode ended and the next one began in the same step, its own infos are in `final_info`, and those of
        the reset may stand in their place.
        """
        told = infos.get("game_reward", rewards)
        if self._mode != AutoresetMode.SAME_STEP:
            return told
        return np.where(over, infos.get("final_info", {}).get("game_reward", rewards), told)

    @staticmethod
    def _last_frames(frames: np.ndarray, final: Any, over: np.ndarray) -> np.ndarray:
        """The frames that the actions led to: where an episode ended, its last in place of the next one's first."""
        last = frames.copy()
        for row in np.flatnonzero(over):
            last[row] = final[row]
        return last


def _meanings(env: VectorEnv) -> Sequence[str] | None:
    """Names of the actions, where the environments tell them."""
    plain = env.unwrapped
    if hasattr(plain, "get_action_meanings"):
        return plain.get_action_meanings()
    if not isinstance(plain, SyncVectorEnv | AsyncVectorEnv):
        return None
    # Asked for what it lacks, a process of AsyncVectorEnv would end.
    told = plain.call("has_wrapper_attr", "get_action_meanings")[0]
    return plain.call("get_action_meanings")[0] if told else None
