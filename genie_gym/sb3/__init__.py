"""Stable-Baselines3: adapters between dreams and its algorithms; the only room that imports it."""

from genie_gym.sb3.dream_vec_env import DreamVecEnv
from genie_gym.sb3.vec_autoexplore_reward import VecAutoExploreReward

__all__ = ["DreamVecEnv", "VecAutoExploreReward"]
