"""Stable-Baselines3: adapters, the explorer and its training; the only package that imports it."""

from genie_gym.errors import MissingExtraError

try:
    import sb3_contrib  # noqa: F401  (it needs stable_baselines3)
except ImportError as error:
    raise MissingExtraError(
        "Stable-Baselines3 or sb3-contrib is not installed; install them with: pip install 'genie_gym[sb3]'"
    ) from error

from genie_gym.sb3.agents import AgentPlayer, save_agent
from genie_gym.sb3.dream_vec_env import DreamVecEnv
from genie_gym.sb3.explorer import ExplorerCNN, ExplorerConfig, ExplorerPolicy, make_explorer, resume_explorer
from genie_gym.sb3.game_vec_env import EndsAreTruncations, make_game_vec_env
from genie_gym.sb3.paid import get_scale, pay, paying_dreams, set_scale
from genie_gym.sb3.recorded_play import RecordedPlay
from genie_gym.sb3.training import Watcher, train
from genie_gym.sb3.vec_autoexplore_reward import VecAutoExploreReward

__all__ = [
    "AgentPlayer",
    "DreamVecEnv",
    "EndsAreTruncations",
    "ExplorerCNN",
    "ExplorerConfig",
    "ExplorerPolicy",
    "RecordedPlay",
    "VecAutoExploreReward",
    "Watcher",
    "get_scale",
    "make_explorer",
    "make_game_vec_env",
    "pay",
    "paying_dreams",
    "resume_explorer",
    "save_agent",
    "set_scale",
    "train",
]
