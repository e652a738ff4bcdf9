"""Gymnasium wrappers: AutoExplore as the reward of one environment; `genie_gym.wrappers.vector` has that of many."""

from genie_gym.wrappers.autoexplore_reward import AutoExploreReward

__all__ = ["AutoExploreReward"]
