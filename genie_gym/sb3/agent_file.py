"""Trained agents on disk: one safetensors file of tensors and JSON. Reading it unpickles nothing and runs no code."""

import json
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import check_for_correct_spaces
from torch import Tensor

from genie_gym.errors import CheckpointError, ConfigError, first_line
from genie_gym.sb3.agent_description import (
    ALGORITHMS,
    AgentDescription,
    check_description,
    describe,
    from_plain,
    policies,
)
from genie_gym.sb3.config import LARGEST_AGENT
from genie_gym.sb3.weights import WeightBudget, named_weights, optimizer_tensors, restore_optimizer, restore_weights
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.device import find_device
from genie_gym.utils.jsonable import parse_json
from genie_gym.world_model.checksum import checksum

__all__ = ["AgentFile", "load_agent", "save_agent"]

LARGEST_TEXT = 2**20  # characters of the description; a few thousand are usual


def save_agent(agent: BaseAlgorithm, path: str | Path, about: dict[str, Any] | None = None) -> None:
    """Save an agent atomically, with its optimiser and step counter, so that `load_agent` can go on training it.

    Args:
        agent: A2C, DQN, PPO, QRDQN, RecurrentPPO or TRPO with observations of colour frames, stacked or not, and
            Discrete actions. Its policy and layers are of Stable-Baselines3, sb3-contrib or genie_gym. A replay buffer
            is not saved.
        path: The file, "agent.safetensors" for example.
        about: Plain JSON values (game, reward, steps ...) to keep with it.

    Raises:
        ConfigError: It is another kind of agent.
        DataError: The disk is full or the folder cannot be written.
    """
    description = describe(agent, about or {})
    tensors = {f"policy/{name}": value for name, value in named_weights(agent.policy).items()}
    tensors |= {f"optimizer/{name}": value for name, value in optimizer_tensors(agent.policy.optimizer).items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = json.dumps(asdict(description))
    atomic_write(Path(path), save(plain, {"agent": text, "sha256": checksum(plain, text)}))


def load_agent(path: str | Path, env: GymEnv | None = None, *, device: str = "auto", **settings: Any) -> BaseAlgorithm:
    """Load an agent as a model of Stable-Baselines3, to go on training it or to ask it for actions.

    As in Stable-Baselines3, the global random generators are seeded with the agent's seed, if it has one.

    Args:
        path: A file that `save_agent` wrote.
        env: Environments to train in; None to predict only.
        device: "auto", "cpu" or "cuda".
        settings: Options of the algorithm in place of the saved ones.

    Returns:
        The agent. Its attribute `about` holds what was given to `save_agent`.

    Raises:
        CheckpointError: The file is missing or damaged, or does not fit the environment.
        ConfigError: A setting that the file cannot hold was not given, or there is no such device.
    """
    return AgentFile(path).agent(env, device, **settings)


class AgentFile:
    """The content of an agent's file.

    Args:
        path: The file.

    Attributes:
        description: What is known of the agent.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        _refuse_others(self.path)
        try:
            self.description, self._tensors = _read(self.path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
            raise CheckpointError(f"{self.path} is damaged or no agent of genie_gym ({first_line(error)})") from error

    @property
    def spaces(self) -> tuple[gym.spaces.Box, gym.spaces.Discrete]:
        """The spaces of observations and actions."""
        known = self.description
        return gym.spaces.Box(0, 255, known.observation, np.uint8), gym.spaces.Discrete(known.actions)

    def policy(self) -> BasePolicy:
        """Return the policy alone on the CPU, which needs neither environment nor learning algorithm."""
        try:
            with WeightBudget(self._under("policy/")):
                policy = self._policy_class()(*self.spaces, lambda _: 0.0, **self._policy_options())
            restore_weights(policy, self._under("policy/"))
        except Exception as error:  # whatever Stable-Baselines3 and torch raise for options that make no sense
            raise self._unusable(error) from error
        policy.set_training_mode(False)
        return policy

    def agent(self, env: GymEnv | None, device: str, **settings: Any) -> BaseAlgorithm:
        """Return the whole agent, see `load_agent`."""
        known = self.description
        missing = [name for name in known.left_out if name not in settings]
        if missing:
            raise ConfigError(
                f"{missing[0]} of the agent in {self.path} is none that a file can hold; "
                f"give it: load_agent(path, env, {missing[0]}=...)"
            )
        target = str(find_device(device))
        try:
            agent = self._build(env, target, {**known.settings, **settings})
            restore_weights(agent.policy, self._under("policy/"))
            restore_optimizer(agent.policy.optimizer, self._under("optimizer/"))
        except torch.OutOfMemoryError:  # not an error of the file
            raise
        except Exception as error:  # as above
            raise self._unusable(error) from error
        vars(agent).update(known.counters)
        if known.episodes is not None:
            agent.ep_info_buffer = deque(known.episodes, maxlen=agent._stats_window_size)
            agent.ep_success_buffer = deque(maxlen=agent._stats_window_size)
        agent.about = known.about  # type: ignore[attr-defined]
        return agent

    def restore_policy(self, policy: BasePolicy) -> None:
        """Load the saved weights into another policy of the same sizes.

        Raises:
            ValueError: It has other sizes.
        """
        restore_weights(policy, self._under("policy/"))

    def _build(self, env: GymEnv | None, device: str, settings: dict[str, Any]) -> BaseAlgorithm:
        kind: Any = ALGORITHMS[self.description.algorithm]
        agent: BaseAlgorithm = kind(self._policy_class(), env, device=device, _init_setup_model=False, **settings)
        agent.policy_kwargs = self._policy_options()  # some algorithms add to them
        if env is None:
            agent.observation_space, agent.action_space, agent.n_envs = *self.spaces, 1
        else:
            check_for_correct_spaces(agent.get_env(), *self.spaces)  # type: ignore[arg-type]
        with WeightBudget(self._under("policy/")):
            agent._setup_model()
        return agent

    def _under(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in self._tensors.items() if name.startswith(prefix)}

    def _policy_class(self) -> type[BasePolicy]:
        return policies(ALGORITHMS[self.description.algorithm])[self.description.policy]

    def _policy_options(self) -> dict[str, Any]:
        return from_plain(self.description.policy_options)

    def _unusable(self, error: Exception) -> CheckpointError:
        return CheckpointError(f"{self.path} is damaged or does not fit ({first_line(error)})")


def _refuse_others(path: Path) -> None:
    if path.suffix == ".zip":
        raise CheckpointError(
            f"{path} is an agent in the format of Stable-Baselines3, which can run code when it is read. If you made "
            "it yourself, load it with Stable-Baselines3 and save it with "
            "genie_gym.sb3.save_agent(agent, 'agent.safetensors')"
        )
    if not paths.is_file(path):
        raise CheckpointError(f"there is no agent at {path}; train one with: genie-gym explore GAME")
    if (size := path.stat().st_size) > LARGEST_AGENT:
        raise CheckpointError(f"{path} has {size:,} bytes, which no agent of genie_gym has")


def _read(path: Path) -> tuple[AgentDescription, dict[str, Tensor]]:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        text = metadata["agent"]
        if len(text) > LARGEST_TEXT:
            raise ValueError(f"its description has {len(text):,} characters")
        description = check_description(parse_json(text))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if checksum(tensors, text) != metadata["sha256"]:
        raise ValueError("its checksum is that of other values")
    return description, tensors
