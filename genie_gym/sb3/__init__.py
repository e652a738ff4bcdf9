"""Stable-Baselines3: environments, reward wrappers, the explorer and its training."""

from typing import TYPE_CHECKING, Any

from genie_gym.errors import MissingExtraError
from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.sb3.agent_file import load_agent, save_agent
    from genie_gym.sb3.agents import SavedAgent, resume_explorer
    from genie_gym.sb3.callbacks import ResumableTraining, TrainingObserver, train
    from genie_gym.sb3.config import ExplorerConfig
    from genie_gym.sb3.explorer import ExplorerCNN, ExplorerPolicy, make_explorer
    from genie_gym.sb3.game_vec_env import TerminationAsTruncation, make_game_vec_env
    from genie_gym.sb3.imagined_vec_env import ImaginedVecEnv
    from genie_gym.sb3.recorder import VecEpisodeRecorder
    from genie_gym.sb3.reward_wrappers import (
        VecAutoExploreReward,
        VecRewardProcessor,
        get_reward_statistics,
        make_imagined_vec_env,
        set_reward_statistics,
        wrap_reward,
    )

__all__ = [
    "ExplorerCNN",
    "ExplorerConfig",
    "ExplorerPolicy",
    "ImaginedVecEnv",
    "ResumableTraining",
    "SavedAgent",
    "TerminationAsTruncation",
    "TrainingObserver",
    "VecAutoExploreReward",
    "VecEpisodeRecorder",
    "VecRewardProcessor",
    "get_reward_statistics",
    "load_agent",
    "make_explorer",
    "make_game_vec_env",
    "make_imagined_vec_env",
    "resume_explorer",
    "save_agent",
    "set_reward_statistics",
    "train",
    "wrap_reward",
]

# Loaded when first used: `ExplorerConfig` is available without Stable-Baselines3.
_load, __dir__ = lazy_attributes(
    __name__,
    {
        "ExplorerCNN": "genie_gym.sb3.explorer:ExplorerCNN",
        "ExplorerConfig": "genie_gym.sb3.config:ExplorerConfig",
        "ExplorerPolicy": "genie_gym.sb3.explorer:ExplorerPolicy",
        "ImaginedVecEnv": "genie_gym.sb3.imagined_vec_env:ImaginedVecEnv",
        "ResumableTraining": "genie_gym.sb3.callbacks:ResumableTraining",
        "SavedAgent": "genie_gym.sb3.agents:SavedAgent",
        "TerminationAsTruncation": "genie_gym.sb3.game_vec_env:TerminationAsTruncation",
        "TrainingObserver": "genie_gym.sb3.callbacks:TrainingObserver",
        "VecAutoExploreReward": "genie_gym.sb3.reward_wrappers:VecAutoExploreReward",
        "VecEpisodeRecorder": "genie_gym.sb3.recorder:VecEpisodeRecorder",
        "VecRewardProcessor": "genie_gym.sb3.reward_wrappers:VecRewardProcessor",
        "get_reward_statistics": "genie_gym.sb3.reward_wrappers:get_reward_statistics",
        "load_agent": "genie_gym.sb3.agent_file:load_agent",
        "make_explorer": "genie_gym.sb3.explorer:make_explorer",
        "make_game_vec_env": "genie_gym.sb3.game_vec_env:make_game_vec_env",
        "make_imagined_vec_env": "genie_gym.sb3.reward_wrappers:make_imagined_vec_env",
        "resume_explorer": "genie_gym.sb3.agents:resume_explorer",
        "save_agent": "genie_gym.sb3.agent_file:save_agent",
        "set_reward_statistics": "genie_gym.sb3.reward_wrappers:set_reward_statistics",
        "train": "genie_gym.sb3.callbacks:train",
        "wrap_reward": "genie_gym.sb3.reward_wrappers:wrap_reward",
    },
)


def __getattr__(name: str) -> Any:
    if name != "ExplorerConfig" and name in __all__:
        _check_installed()
    return _load(name)


def _check_installed() -> None:
    try:
        import sb3_contrib  # noqa: F401  (it needs stable_baselines3)
    except ImportError as error:
        raise MissingExtraError(
            "Stable-Baselines3 or sb3-contrib is not installed; install them with: pip install 'genie_gym[sb3]'"
        ) from error
