"""Trained agents on disk: Stable-Baselines3's own zip file, with a note in it of what the agent was trained on."""

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
from genie_gym.files import write_aside

__all__ = ["AgentPlayer", "save_agent"]


def save_agent(agent: BaseAlgorithm, path: Path, about: dict[str, Any]) -> None:
    """Writes an agent whole or not at all.

    Args:
        about: plain JSON values (game, reward, steps ...), kept inside the file as the agent's attribute `about`.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    agent.about = about  # type: ignore[attr-defined]
    buffer = io.BytesIO()
    agent.save(buffer)
    write_aside(path, buffer.getvalue())


class AgentPlayer:
    """A saved agent that chooses actions picture by picture; it draws them from its policy, with torch's own generator.

    Any agent of Stable-Baselines3 or sb3-contrib will do that looks at pictures and chooses among Discrete actions: one
    with an LSTM keeps its state through an episode, one trained on stacked frames gets them stacked again (newest last,
    black before the start).

    Such files are read with pickle, which runs whatever code their maker put in: load only those that you saved.

    Attributes:
        about: what the agent was trained on, as given to `save_agent`; empty for other files.
        actions: how many it chooses from.

    Raises:
        CheckpointError: the file is missing, damaged, or no agent for pictures and Discrete actions.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        data, weights = _read(self.path)
        self.about: dict[str, Any] = data.get("about") or {}
        self._policy = _build(self.path, data, weights)
        self.actions = int(self._policy.action_space.n)  # type: ignore[attr-defined]
        shape = self._policy.observation_space.shape or ()
        self._stack = min(shape) // 3  # colours lie first or last, and are fewer than pixels a side
        self.start(0)

    def start(self, seed: int) -> None:
        """Begins an episode: forgets the one before, and draws actions from `seed` on."""
        torch.manual_seed(seed)
        self._memory: Any = None
        self._frames: deque[np.ndarray] = deque(maxlen=self._stack)

    def __call__(self, frame: np.ndarray) -> int:
        """uint8 (h, w, 3) to an action.

        Raises:
            ConfigError: the agent was trained on pictures of another size.
        """
        first = not self._frames
        self._frames.extend([np.zeros_like(frame)] * (self._stack - 1) if first else [])
        self._frames.append(frame)
        try:
            action, self._memory = self._policy.predict(
                np.concatenate(self._frames, -1), self._memory, np.array([first]), deterministic=False
            )
        except ValueError as error:
            shape = self._policy.observation_space.shape
            raise ConfigError(f"the agent in {self.path} looks at pictures of shape {shape}: {error}") from error
        return int(action)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The agent's attributes and its weights."""
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
    """The policy alone: it needs neither environment nor learning algorithm."""
    shape = getattr(data["observation_space"], "shape", None) or ()
    if len(shape) != 3 or min(shape) % 3 or not hasattr(data["action_space"], "n"):
        raise CheckpointError(
            f"the agent in {path} takes {data['observation_space']} and gives {data['action_space']}; "
            "games need one that takes colour pictures and gives Discrete actions"
        )
    policy = data["policy_class"](
        data["observation_space"], data["action_space"], lambda _: 0.0, **data.get("policy_kwargs", {})
    )
    policy.load_state_dict(weights["policy"])
    return policy
