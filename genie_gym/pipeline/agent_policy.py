"""Play by a saved agent of Stable-Baselines3 or sb3-contrib, as a policy for collecting."""

import hashlib
import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_gym import paths
from genie_gym.errors import CheckpointError, ConfigError

if TYPE_CHECKING:  # a process that plays at random needs no torch
    from genie_gym.sb3 import AgentPlayer

__all__ = ["AGENT", "AgentPolicy", "own_agent"]

AGENT = "agent.zip"  # in the folder of a training


def own_agent(game: str, name: str | Path) -> Path:
    """The folder of a game's agent where there is one of that name ("autoexplore-0"), or the path that it is."""
    folder = paths.agents_dir(game) / name
    return folder if folder.is_dir() else Path(name)


class AgentPolicy:
    """Plays as a saved agent does: draws each action from its policy, and remembers what it needs.

    It travels to worker processes as a path; each loads the agent itself. Such files are read with pickle, which runs
    whatever code their maker put in: use only agents that you saved.

    Args:
        path: the agent's zip file, or the folder of its training.

    Attributes:
        name: the file's folder and the first digits of its digest ("autoexplore-0-1a2b3c4d"), so that another agent's
            episodes are never taken for this one's.
        details: for the header of a recording.
        modules: what a process that plays needs to load.

    Raises:
        CheckpointError: there is no such file; `start` raises it where the file holds no agent for pictures.
    """

    modules = ("genie_gym.sb3",)

    def __init__(self, path: str | Path):
        self.path = Path(path) / AGENT if Path(path).is_dir() else Path(path)
        if not self.path.is_file():
            raise CheckpointError(f"there is no agent at {self.path}; train one with: genie-gym explore GAME")
        digest = hashlib.blake2b(self.path.read_bytes(), digest_size=4).hexdigest()
        self.name = f"{_plain(self.path)}-{digest}"
        self.details = {"agent": str(self.path)}
        self._player: AgentPlayer | None = None

    def start(self, actions: int, rng: np.random.Generator) -> None:
        """Begins an episode.

        Raises:
            ConfigError: the agent knows another number of actions.
        """
        if self._player is None:
            self._player = _load(self.path)
        if self._player.actions != actions:
            raise ConfigError(
                f"the agent in {self.path} chooses from {self._player.actions} actions, this game has {actions}; "
                "take one that was trained on this game"
            )
        self._player.start(int(rng.integers(2**31)))

    def __call__(self, frame: np.ndarray) -> int:
        assert self._player is not None, "call start first"
        return self._player(frame)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_player": None}


def _load(path: Path) -> "AgentPlayer":
    import torch

    from genie_gym.sb3 import AgentPlayer

    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # there are as many workers as cores
    return AgentPlayer(path)


def _plain(path: Path) -> str:
    """The training's folder, or the file's own name; only what an episode's id may hold."""
    name = path.parent.name if path.name == AGENT else path.stem
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name).strip("-")
    return kept or "agent"
