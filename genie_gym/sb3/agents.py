"""Saved agents that play, and explorers that go on training."""

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import VecEnv

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.sb3.agent_file import AgentFile
from genie_gym.sb3.config import ExplorerConfig
from genie_gym.sb3.explorer import make_explorer
from genie_gym.sb3.reward_wrappers import set_reward_statistics

__all__ = ["SavedAgent", "resume_explorer"]


class SavedAgent:
    """A saved agent that samples actions from its policy, frame by frame, with a random generator of its own.

    The state of an LSTM is kept during an episode. An agent that was trained on stacked frames receives stacked frames
    (newest last, black before the first).

    Args:
        path: A file that `save_agent` wrote.

    Attributes:
        about: Description of the training, as given to `save_agent`.
        num_actions: Number of actions.

    Raises:
        CheckpointError: The file is missing, damaged, or of another kind.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with torch.random.fork_rng(devices=[]):  # new weights are drawn before the saved ones replace them
            file = AgentFile(self.path)
            self._policy = file.policy()
        self.about: dict[str, Any] = file.description.about
        self.num_actions = file.description.actions
        # Channels are first or last, and fewer than the pixels of a side.
        self._stack = min(file.description.observation) // 3
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Start an episode: forget the previous one, and seed the sampling of actions."""
        self._random = torch.Generator().manual_seed(seed).get_state()
        self._state: Any = None
        self._frames: deque[np.ndarray] = deque(maxlen=self._stack)

    def __call__(self, frame: np.ndarray) -> int:
        """Return the action for a frame uint8 (h, w, 3).

        Raises:
            ConfigError: The agent was trained on frames of another size, or its weights give no probabilities.
        """
        first = not self._frames
        self._frames.extend([np.zeros_like(frame)] * (self._stack - 1) if first else [])
        self._frames.append(frame)
        with torch.random.fork_rng(devices=[]):  # policies sample with torch's global generator
            torch.set_rng_state(self._random)
            action = self._predict(np.concatenate(self._frames, -1), first)
            self._random = torch.get_rng_state()
        return action

    def _predict(self, observation: np.ndarray, first: bool) -> int:
        try:
            action, self._state = self._policy.predict(observation, self._state, np.array([first]), deterministic=False)
        except ValueError as error:
            shape = self._policy.observation_space.shape
            raise ConfigError(f"the agent in {self.path} takes frames of shape {shape}: {error}") from error
        return int(action)


def resume_explorer(
    path: Path,
    env: VecEnv,
    config: ExplorerConfig | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    init_from: Path | None = None,
) -> tuple[RecurrentPPO, dict[str, Any]]:
    """Return the explorer saved at `path`, or a new one if there is none.

    A saved explorer is resumed with its weights, optimiser, step counter, hyperparameters and reward statistics. The
    games are reset with a seed that depends on the step counter.

    Args:
        path: The agent's file.
        env: Environments with observations uint8 (s, s, 3), s a multiple of 16, and Discrete actions.
        config: Hyperparameters of a new explorer.
        seed: Random seed.
        device: "auto", "cpu" or "cuda".
        init_from: File of an explorer whose weights initialise a new one.

    Returns:
        The explorer, and the description that `save_agent` stored with it (empty for a new one).

    Raises:
        CheckpointError: A file is damaged or does not fit the environment.
    """
    _refuse_older(path)
    if not path.exists():
        agent = make_explorer(env, config, seed=seed, device=device)
        if init_from is not None:
            _load_weights(agent, init_from)
        return agent, {}
    try:
        agent, about = _resume(path, env, device)
    except (CheckpointError, ConfigError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be resumed ({error}); remove {path.parent} to start again") from error
    agent.set_random_seed(int(np.random.SeedSequence([seed, agent.num_timesteps]).generate_state(1)[0] >> 1))
    return agent, about


def _resume(path: Path, env: VecEnv, device: str) -> tuple[RecurrentPPO, dict[str, Any]]:
    agent = AgentFile(path).agent(env, device)
    if not isinstance(agent, RecurrentPPO):
        raise ValueError(f"it is an agent of {type(agent).__name__}")
    about: dict[str, Any] = agent.about  # type: ignore[attr-defined]
    set_reward_statistics(env, about.get("reward_statistics", {}))
    return agent, about


def _refuse_older(path: Path) -> None:
    """A folder of an older version must not look like a new one."""
    older = path.with_name("agent.zip")
    if older.exists() and not path.exists():
        raise CheckpointError(
            f"{older} is an agent of an older genie_gym, whose files could run code; "
            f"remove {path.parent} to start again, or give another folder"
        )


def _load_weights(agent: RecurrentPPO, path: Path) -> None:
    """Load the weights of the policy, without the optimiser's state, which belongs to another reward."""
    file = AgentFile(path)
    try:
        file.restore_policy(agent.policy)
    except ValueError as error:
        raise CheckpointError(f"{path} holds no explorer for this game with these hyperparameters ({error})") from error
