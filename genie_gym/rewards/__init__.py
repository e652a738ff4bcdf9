"""Intrinsic rewards: AutoExplore and its baselines as batched torch functions; scoring never trains."""

from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.rewards.baselines import FeatureError, RandomNetworkDistillation
from genie_gym.rewards.context import FrameMemory
from genie_gym.rewards.options import RewardOptions, make_reward, sizes
from genie_gym.rewards.rlexplore import RolloutReward
from genie_gym.rewards.scale import ReturnScale, RewardLevel
from genie_gym.rewards.score import IntrinsicReward, NoReward, Score
from genie_gym.rewards.stream import Rewards, RewardStream

__all__ = [
    "AutoExplore",
    "FeatureError",
    "FrameMemory",
    "IntrinsicReward",
    "NoReward",
    "RandomNetworkDistillation",
    "ReturnScale",
    "RewardLevel",
    "RewardOptions",
    "RewardStream",
    "Rewards",
    "RolloutReward",
    "Score",
    "make_reward",
    "sizes",
]
