"""Trained agents on disk: the zip file of Stable-Baselines3, including a description of the training."""

import io
from collections import deque
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.utils.atomic import atomic_write

__all__ = ["SavedAgent", "save_agent"]


def save_agent(agent: BaseAlgorithm, path: Path, about: dict[str, Any]) -> None:
    """Save an agent atomically.

    Args:
        agent: The agent.
        path: The zip file.
        about: Plain JSON values (game, reward, steps ...), stored in the file as the agent's attribute `about`.

    Raises:
        DataError: The disk is full or the folder cannot be written.
    """
    agent.about = about  # type: ignore[attr-defined]
    buffer = io.BytesIO()
    agent.save(buffer)
    atomic_write(path, buffer.getvalue())


class SavedAgent:
    """A saved agent that samples actions from its policy, frame by frame, with torch's global random generator.

    It may be any agent of Stable-Baselines3 or sb3-contrib with image observations and Discrete actions. The state of
    an LSTM is kept during an episode. An agent that was trained on stacked frames receives stacked frames (newest last,
    black before the first).

    Such files are read with pickle, which can run arbitrary code: load only files that you saved.

    Args:
        path: The zip file.

    Attributes:
        about: Description of the training, as given to `save_agent`; empty for other files.
        num_actions: Number of actions.

    Raises:
        CheckpointError: The file is missing, damaged, or not an agent with image observations and Discrete actions.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        data, weights = _read(self.path)
        self.about: dict[str, Any] = data.get("about") or {}
        self._policy = _build(self.path, data, weights)
        self.num_actions = int(self._policy.action_space.n)  # type: ignore[attr-defined]
        shape = self._policy.observation_space.shape or ()
        self._stack = min(shape) // 3  # channels are first or last, and fewer than the pixels of a side
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Start an episode: forget the previous one, and seed the sampling of actions."""
        torch.manual_seed(seed)
        self._state: Any = None
        self._frames: deque[np.ndarray] = deque(maxlen=self._stack)

    def __call__(self, frame: np.ndarray) -> int:
        """Return the action for a frame uint8 (h, w, 3).

        Raises:
            ConfigError: The agent was trained on frames of another size.
        """
        first = not self._frames
        self._frames.extend([np.zeros_like(frame)] * (self._stack - 1) if first else [])
        self._frames.append(frame)
        try:
            action, self._state = self._policy.predict(
                np.concatenate(self._frames, -1), self._state, np.array([first]), deterministic=False
            )
        except ValueError as error:
            shape = self._policy.observation_space.shape
            raise ConfigError(f"the agent in {self.path} takes frames of shape {shape}: {error}") from error
        return int(action)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the agent's attributes and its weights."""
    if not path.is_file():
        raise CheckpointError(f"there is no agent at {path}; train one with: genie-gym explore GAME")
    try:
        data, weights, _ = load_from_zip_file(path, device="cpu")
    except (ValueError, BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged or was not saved by Stable-Baselines3: {error}") from error
    if not data or "policy" not in weights or "policy_class" not in data:
        raise CheckpointError(f"{path} holds no agent of Stable-Baselines3")
    return data, weights


def _build(path: Path, data: dict[str, Any], weights: dict[str, Any]) -> BasePolicy:
    """Return the policy, which needs neither environment nor learning algorithm."""
    shape = getattr(data["observation_space"], "shape", None) or ()
    if len(shape) != 3 or min(shape) % 3 or not hasattr(data["action_space"], "n"):
        raise CheckpointError(
            f"the agent in {path} takes {data['observation_space']} and gives {data['action_space']}; "
            "games need one that takes colour frames and gives Discrete actions"
        )
    policy = data["policy_class"](
        data["observation_space"], data["action_space"], lambda _: 0.0, **data.get("policy_kwargs", {})
    )
    policy.load_state_dict(weights["policy"])
    return policy
