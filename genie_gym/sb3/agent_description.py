"""The description of a trained agent that is not tensors, as JSON: what it is made of, by names that are known here."""

import inspect
import math
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
from sb3_contrib import QRDQN, TRPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule
from torch import nn, optim

from genie_gym.errors import ConfigError
from genie_gym.sb3.explorer import ExplorerCNN, ExplorerPolicy
from genie_gym.utils.jsonable import from_jsonable

__all__ = ["ALGORITHMS", "AgentDescription", "check_description", "describe", "from_plain", "policies"]

FORMAT, VERSION = "genie_gym agent", 1
LARGEST_FRAMES = 3 * 2**20  # values in one observation

# What a file may name: nothing else is ever built from it.
ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    kind.__name__: kind for kind in (A2C, DQN, PPO, QRDQN, RecurrentPPO, TRPO)
}
POLICIES: dict[str, type[BasePolicy]] = {"ExplorerPolicy": ExplorerPolicy}  # and each algorithm's own, by their aliases
LAYERS = (ExplorerCNN, NatureCNN, nn.ELU, nn.GELU, nn.LeakyReLU, nn.ReLU, nn.SiLU, nn.Tanh)
OPTIMIZERS = (RMSpropTFLike, optim.Adam, optim.AdamW, optim.RMSprop, optim.SGD)
CLASSES: dict[str, type] = {kind.__name__: kind for kind in (*LAYERS, *OPTIMIZERS)}

# Options of the algorithms that belong to a process or are kept elsewhere, and buffers, which are not saved.
NOT_SETTINGS = {"self", "policy", "env", "policy_kwargs", "tensorboard_log", "verbose", "device", "_init_setup_model"}
NOT_SETTINGS |= {f"{kind}_buffer_{part}" for kind in ("rollout", "replay") for part in ("class", "kwargs")}
# Whole numbers that may be 0 or -1, which none means; of all others, nothing could be done 0 times.
MAY_BE_LESS = {"seed", "sde_sample_freq", "gradient_steps", "learning_starts"}
COUNTERS = ("num_timesteps", "_total_timesteps", "_num_timesteps_at_start", "_n_updates", "_episode_num", "_n_calls")


@dataclass(frozen=True)
class AgentDescription:
    """Everything about an agent that is not a tensor, as it stands in the file.

    Attributes:
        algorithm: Key of ALGORITHMS.
        policy: Key of POLICIES, or an alias of the algorithm ("CnnPolicy").
        observation: Shape of the uint8 observations, with channels first or last.
        actions: Number of Discrete actions.
        policy_options: Options of the policy; classes stand as {"class": name}.
        settings: Options of the algorithm.
        left_out: Names of settings that JSON cannot hold, such as a schedule; they are asked for when it is loaded.
        counters: Steps, updates and so on.
        episodes: Return "r", length "l" and more of the last episodes; None before training.
        about: Plain JSON values of whoever saved it.
        format: FORMAT.
        version: VERSION.
    """

    algorithm: str
    policy: str
    observation: tuple[int, int, int]
    actions: int
    policy_options: dict[str, Any]
    settings: dict[str, Any]
    left_out: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    episodes: list[dict[str, float]] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION


def check_description(values: Any) -> AgentDescription:
    """Return the description in a file.

    Raises:
        ValueError: It is not of a type, format or size that this version reads.
    """
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"it does not say format {FORMAT!r}")
    if values.get("version") != VERSION:
        raise ValueError(f"it has version {values.get('version')!r:.20}, this genie_gym reads {VERSION}")
    known = from_jsonable(AgentDescription, values, "its description")
    if known.algorithm not in ALGORITHMS or known.policy not in policies(ALGORITHMS[known.algorithm]):
        raise ValueError(f"its policy {known.policy!r:.40} of algorithm {known.algorithm!r:.40} is unknown")
    _check_spaces(known.observation, known.actions)
    if set(known.counters) - set(COUNTERS) or not all(0 <= count < 2**53 for count in known.counters.values()):
        raise ValueError(f"its counters are {known.counters!r:.80}")
    settings = _checked_settings(ALGORITHMS[known.algorithm], known.settings)
    if not _finite((known.policy_options, settings, known.episodes)):
        raise ValueError("one of its settings is no finite number")
    if not all({"r", "l"} <= episode.keys() for episode in known.episodes or ()):
        raise ValueError("its episodes lack a return or a length")
    return replace(known, settings=settings)


def _checked_settings(kind: type[BaseAlgorithm], settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of the types that the algorithm's own annotations say, with tuples where JSON has lists."""
    known, parameters = _settings(kind), inspect.signature(kind).parameters
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"it has an unknown setting {name!r:.40}")
        least = -1 if name in MAY_BE_LESS else 1
        if type(value) is int and not least <= value < 2**32:
            raise ValueError(f"its setting {name} is {value}")
    kinds = {name: parameters[name].annotation for name in settings}
    return {name: from_jsonable(kinds[name], value, f"its setting {name}") for name, value in settings.items()}


def _check_spaces(observation: tuple[int, ...], actions: int) -> None:
    frames = len(observation) == 3 and min(observation) > 0 and min(observation) % 3 == 0
    if not frames or math.prod(observation) > LARGEST_FRAMES or not 0 < actions <= 65_536:
        raise ValueError(
            f"it takes observations of shape {observation} and gives {actions} actions; "
            "games need an agent that takes colour frames and gives Discrete actions"
        )


def describe(agent: BaseAlgorithm, about: dict[str, Any]) -> AgentDescription:
    """Return the description of an agent.

    Args:
        agent: The agent.
        about: Plain JSON values to keep with it.

    Raises:
        ConfigError: A file cannot hold this kind of agent.
    """
    kind = type(agent)
    if ALGORITHMS.get(kind.__name__) is not kind:
        raise ConfigError(f"agents of {kind.__name__} cannot be saved; known are: {', '.join(ALGORITHMS)}")
    try:
        observation, actions = _sizes(agent)
        policy, options = _policy_name(agent), _to_plain(agent.policy_kwargs)
    except ValueError as error:
        raise ConfigError(f"this agent cannot be saved: {error}; `collect` also takes a function as policy") from error
    settings, left_out = _settings_of(agent)
    return AgentDescription(
        algorithm=kind.__name__,
        policy=policy,
        observation=observation,
        actions=actions,
        policy_options=options,
        settings=settings,
        left_out=left_out,
        counters={name: int(getattr(agent, name)) for name in COUNTERS if hasattr(agent, name)},
        episodes=None if agent.ep_info_buffer is None else [_numbers(one) for one in agent.ep_info_buffer],
        about=about,
    )


def _sizes(agent: BaseAlgorithm) -> tuple[tuple[int, int, int], int]:
    """Return the shape of an agent's observations and its number of actions."""
    space, actions = agent.observation_space, agent.action_space
    if not isinstance(space, gym.spaces.Box) or not isinstance(actions, gym.spaces.Discrete) or actions.start:
        raise ValueError(f"it takes {space} and gives {actions}, not colour frames and Discrete actions")
    if space != gym.spaces.Box(0, 255, space.shape, np.uint8):
        raise ValueError(f"it takes {space}, not the colours 0 to 255 of a game")
    _check_spaces(space.shape, int(actions.n))
    channels, height, width = map(int, space.shape)
    return (channels, height, width), int(actions.n)


def _policy_name(agent: BaseAlgorithm) -> str:
    for name, policy in policies(type(agent)).items():
        if policy is agent.policy_class:
            return name
    raise ValueError(f"a file cannot hold the code of its policy {agent.policy_class.__name__}")


def _settings_of(agent: BaseAlgorithm) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of an agent, and the names of those that JSON cannot hold."""
    settings, left_out = {}, []
    for name in sorted(_settings(type(agent))):
        attribute = "_stats_window_size" if name == "stats_window_size" else name
        if not hasattr(agent, attribute):  # it went into the policy's options
            continue
        try:
            settings[name] = _to_plain(getattr(agent, attribute))
        except ValueError:
            left_out.append(name)
    return settings, left_out


def _numbers(episode: dict[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in episode.items() if isinstance(value, int | float | np.number)}


def _settings(kind: type[BaseAlgorithm]) -> set[str]:
    """Names of the options of an algorithm that are kept."""
    return set(inspect.signature(kind).parameters) - NOT_SETTINGS


def policies(kind: type[BaseAlgorithm]) -> dict[str, type[BasePolicy]]:
    """Return the policies that an algorithm may have, by name."""
    return kind.policy_aliases | (POLICIES if kind is RecurrentPPO else {})


def _to_plain(value: Any) -> Any:
    """Return an option as JSON can hold it.

    Raises:
        ValueError: It cannot.
    """
    if isinstance(value, FloatSchedule):
        value = value.value_schedule
    if isinstance(value, ConstantSchedule):
        value = value.val
    if isinstance(value, TrainFreq):
        return [value.frequency, value.unit.value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {str(key): _to_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(one) for one in value]
    if isinstance(value, type) and CLASSES.get(value.__name__) is value:
        return {"class": value.__name__}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"a file cannot hold the code of {getattr(value, '__name__', type(value).__name__)}")


def from_plain(value: Any) -> Any:
    """Return the option that `_to_plain` was given, or what equals it."""
    if isinstance(value, dict) and value.keys() == {"class"}:
        return CLASSES[value["class"]]
    if isinstance(value, dict):
        return {key: from_plain(one) for key, one in value.items()}
    return [from_plain(one) for one in value] if isinstance(value, list) else value


def _finite(value: Any) -> bool:
    """Whether no number in nested values is NaN, infinite or out of all proportion."""
    if isinstance(value, dict | list | tuple):
        return all(map(_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) < 1e18  # false for NaN
