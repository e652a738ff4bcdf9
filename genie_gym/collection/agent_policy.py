"""An agent saved by Stable-Baselines3 or sb3-contrib as a policy to collect episodes with."""

import hashlib
import multiprocessing
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.sb3.config import LARGEST_AGENT
from genie_gym.utils import paths

if TYPE_CHECKING:  # collecting with a random policy does not need torch
    from genie_gym.sb3.agents import SavedAgent

__all__ = ["AGENT", "AgentPolicy", "find_agent", "names_path"]

AGENT = "agent.safetensors"  # file in the folder of an agent's training


def names_path(name: str) -> bool:
    """Return whether a name can only be meant as a path: "agents/mine", "./mine", "~/mine", "mine.safetensors".

    >>> names_path("./sticky"), names_path("sticky")
    (True, False)
    """
    return "/" in name or name.startswith((".", "~")) or Path(name).suffix in (".safetensors", ".zip")


def find_agent(name: str) -> "AgentPolicy":
    """Return the agent at a path; of a name alone, the one in a folder of that name here, which is said.

    Raises:
        CheckpointError: There is none.
    """
    agent = AgentPolicy(name)
    if not names_path(name):
        warnings.warn(f"{name} is the agent in {agent.path.absolute()}: you have no other of that name", stacklevel=2)
    return agent


class AgentPolicy:
    """A policy that samples its actions from a saved agent, including the agent's memory.

    Worker processes receive the path and load the agent themselves. Loading an agent runs no code from its file.

    Args:
        path: The agent's file, or the folder of its training.

    Attributes:
        name: Name of the folder or file and the first digits of the file's hash ("autoexplore-0-1a2b3c4d"), so that
            episodes of different agents are never confused.
        details: Entries for the header of a dataset.
        modules: Modules that a worker process needs.

    Raises:
        CheckpointError: The file does not exist; from `reset`, the file holds no agent for images.
    """

    modules = ("genie_gym.sb3.agents",)

    def __init__(self, path: str | Path):
        place = Path(path).expanduser()
        self.path = place / AGENT if paths.is_folder(place) else place
        if not paths.is_file(self.path):
            older = place / "agent.zip"  # of earlier versions, read with pickle
            hint = f"; {older} could run code and is no longer read" if paths.is_file(older) else ""
            raise CheckpointError(f"there is no agent at {self.path}; train one with: genie-gym explore GAME{hint}")
        self._digest = _digest(self.path)
        self.name = f"{_short_name(self.path)}-{self._digest}"
        self.details = {"agent": str(self.path)}
        self._agent: SavedAgent | None = None

    def reset(self, num_actions: int, rng: np.random.Generator) -> None:
        """Start an episode.

        Raises:
            ConfigError: The agent was trained with another number of actions.
        CheckpointError: The file is another one by now, or on this machine.
        """
        if self._agent is None:
            if _digest(self.path) != self._digest:
                raise CheckpointError(
                    f"the agent at {self.path} is not the one that the collection began with ({self.name}); copy that "
                    "one to where it is to play, or start again with this one"
                )
            self._agent = _load(self.path)
        if self._agent.num_actions != num_actions:
            raise ConfigError(
                f"the agent in {self.path} chooses from {self._agent.num_actions} actions, this game has {num_actions}"
                "; use an agent that was trained on this game"
            )
        self._agent.reset(int(rng.integers(2**31)))

    def __call__(self, frame: np.ndarray) -> int:
        assert self._agent is not None, "call reset first"
        return self._agent(frame)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_agent": None}


def _load(path: Path) -> "SavedAgent":
    import torch

    from genie_gym.sb3.agents import SavedAgent

    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # there are as many workers as CPU cores
    return SavedAgent(path)


def _digest(path: Path) -> str:
    """Return the first digits of the file's hash.

    Raises:
        CheckpointError: It cannot be read, or is too large for an agent.
    """
    try:
        if path.stat().st_size > LARGEST_AGENT:
            raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes, which no agent of genie_gym has")
        return hashlib.blake2b(path.read_bytes(), digest_size=4).hexdigest()
    except OSError as error:
        raise CheckpointError(f"the agent at {path} cannot be read: {error.strerror}") from error


def _short_name(path: Path) -> str:
    """Return the name of the training's folder, else of the file, in characters that an episode id may contain."""
    name = path.parent.name if path.name == AGENT else path.stem
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name).strip("-")
    return kept or "agent"
