"""The product: a learned world as a Gymnasium environment, alone or many at once."""

from genie_gym.envs.vector_env import WorldModelVectorEnv
from genie_gym.envs.world_model_env import WorldModelEnv

__all__ = ["WorldModelEnv", "WorldModelVectorEnv"]
