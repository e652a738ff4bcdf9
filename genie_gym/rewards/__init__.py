"""Intrinsic rewards: AutoExplore, its baselines, and the pipeline from their scores to an agent's rewards."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.rewards.autoexplore import AutoExplore
    from genie_gym.rewards.base import IntrinsicReward, NoReward, Score
    from genie_gym.rewards.baselines import FeaturePredictionError, RandomNetworkDistillation
    from genie_gym.rewards.config import RewardConfig
    from genie_gym.rewards.make import make_pipeline, make_reward
    from genie_gym.rewards.pipeline import RewardPipeline, Rewards
    from genie_gym.rewards.processor import ReturnNormalizer, RewardCenter, RewardProcessor
    from genie_gym.rewards.rollout import RolloutReward
    from genie_gym.rewards.window import FrameWindow

__all__ = [
    "AutoExplore",
    "FeaturePredictionError",
    "FrameWindow",
    "IntrinsicReward",
    "NoReward",
    "RandomNetworkDistillation",
    "ReturnNormalizer",
    "RewardCenter",
    "RewardConfig",
    "RewardPipeline",
    "RewardProcessor",
    "Rewards",
    "RolloutReward",
    "Score",
    "make_pipeline",
    "make_reward",
]

# Loaded when first used: the configuration must not wait for torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "AutoExplore": "genie_gym.rewards.autoexplore:AutoExplore",
        "FeaturePredictionError": "genie_gym.rewards.baselines:FeaturePredictionError",
        "FrameWindow": "genie_gym.rewards.window:FrameWindow",
        "IntrinsicReward": "genie_gym.rewards.base:IntrinsicReward",
        "NoReward": "genie_gym.rewards.base:NoReward",
        "RandomNetworkDistillation": "genie_gym.rewards.baselines:RandomNetworkDistillation",
        "ReturnNormalizer": "genie_gym.rewards.processor:ReturnNormalizer",
        "RewardCenter": "genie_gym.rewards.processor:RewardCenter",
        "RewardConfig": "genie_gym.rewards.config:RewardConfig",
        "RewardPipeline": "genie_gym.rewards.pipeline:RewardPipeline",
        "RewardProcessor": "genie_gym.rewards.processor:RewardProcessor",
        "Rewards": "genie_gym.rewards.pipeline:Rewards",
        "RolloutReward": "genie_gym.rewards.rollout:RolloutReward",
        "Score": "genie_gym.rewards.base:Score",
        "make_pipeline": "genie_gym.rewards.make:make_pipeline",
        "make_reward": "genie_gym.rewards.make:make_reward",
    },
)
