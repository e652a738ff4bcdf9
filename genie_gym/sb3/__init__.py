"""Stable-Baselines3: adapters between dreams and its algorithms; the only room that imports it."""

from genie_gym.sb3.dream_vec_env import DreamVecEnv

__all__ = ["DreamVecEnv"]
