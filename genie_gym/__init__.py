"""Learned worlds of emulator games, stepped as Gymnasium environments.

Importing this package registers an id for every known game. The names below are imported when first used, so that
neither torch nor an emulator is loaded before it is needed.
"""

from typing import TYPE_CHECKING

import genie_gym.start_up  # noqa: F401  # isort: split  (before what takes a second to import)
from genie_gym.registration import register_games, register_own_games
from genie_gym.utils.lazy import lazy_attributes
from genie_gym.utils.version import package_version

if TYPE_CHECKING:
    from genie_gym import games
    from genie_gym.collection.collect import collect
    from genie_gym.collection.config import CollectConfig
    from genie_gym.data.convert import convert
    from genie_gym.data.dataset import EpisodeDataset
    from genie_gym.data.episode import Episode
    from genie_gym.data.writer import EpisodeWriter
    from genie_gym.envs.config import WorldModelEnvConfig
    from genie_gym.envs.vector_env import WorldModelVectorEnv
    from genie_gym.envs.world_model_env import WorldModelEnv
    from genie_gym.evaluation.config import EvalConfig
    from genie_gym.evaluation.evaluate import evaluate
    from genie_gym.exploration.config import ExploreConfig
    from genie_gym.exploration.explore import explore
    from genie_gym.games.retroact.game_set import GameSet
    from genie_gym.refitting.config import RefitConfig
    from genie_gym.refitting.runner import refit
    from genie_gym.rewards.config import RewardConfig
    from genie_gym.sb3.reward_wrappers import VecAutoExploreReward
    from genie_gym.training.config import FinetuneConfig, FinetuneRunConfig, TrainConfig
    from genie_gym.training.finetune import finetune
    from genie_gym.training.world_model import train  # type: ignore[attr-defined]
    from genie_gym.world_model.checkpoint import Checkpoint
    from genie_gym.world_model.sampling import SamplingConfig
    from genie_gym.wrappers.autoexplore import AutoExploreReward

__all__ = [
    "AutoExploreReward",
    "Checkpoint",
    "CollectConfig",
    "Episode",
    "EpisodeDataset",
    "EpisodeWriter",
    "EvalConfig",
    "ExploreConfig",
    "FinetuneConfig",
    "FinetuneRunConfig",
    "GameSet",
    "RefitConfig",
    "RewardConfig",
    "SamplingConfig",
    "TrainConfig",
    "VecAutoExploreReward",
    "WorldModelEnv",
    "WorldModelEnvConfig",
    "WorldModelVectorEnv",
    "collect",
    "convert",
    "evaluate",
    "explore",
    "finetune",
    "games",
    "refit",
    "register_own_games",
    "train",
]

__version__ = package_version()

# In the order of the way from the game to the agent and back.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "games": "genie_gym.games",
        "GameSet": "genie_gym.games.retroact.game_set:GameSet",
        "Episode": "genie_gym.data.episode:Episode",
        "EpisodeDataset": "genie_gym.data.dataset:EpisodeDataset",
        "EpisodeWriter": "genie_gym.data.writer:EpisodeWriter",
        "convert": "genie_gym.data.convert:convert",
        "CollectConfig": "genie_gym.collection.config:CollectConfig",
        "collect": "genie_gym.collection.collect:collect",
        "TrainConfig": "genie_gym.training.config:TrainConfig",
        "train": "genie_gym.training.world_model:train",
        "FinetuneConfig": "genie_gym.training.config:FinetuneConfig",
        "FinetuneRunConfig": "genie_gym.training.config:FinetuneRunConfig",
        "finetune": "genie_gym.training.finetune:finetune",
        "Checkpoint": "genie_gym.world_model.checkpoint:Checkpoint",
        "SamplingConfig": "genie_gym.world_model.sampling:SamplingConfig",
        "WorldModelEnvConfig": "genie_gym.envs.config:WorldModelEnvConfig",
        "WorldModelEnv": "genie_gym.envs.world_model_env:WorldModelEnv",
        "WorldModelVectorEnv": "genie_gym.envs.vector_env:WorldModelVectorEnv",
        "RewardConfig": "genie_gym.rewards.config:RewardConfig",
        "AutoExploreReward": "genie_gym.wrappers.autoexplore:AutoExploreReward",
        "VecAutoExploreReward": "genie_gym.sb3:VecAutoExploreReward",
        "EvalConfig": "genie_gym.evaluation.config:EvalConfig",
        "evaluate": "genie_gym.evaluation.evaluate:evaluate",
        "ExploreConfig": "genie_gym.exploration.config:ExploreConfig",
        "explore": "genie_gym.exploration.explore:explore",
        "RefitConfig": "genie_gym.refitting.config:RefitConfig",
        "refit": "genie_gym.refitting.runner:refit",
    },
)

register_games()
