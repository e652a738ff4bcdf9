"""The learned game as a Gymnasium environment: one rollout, or many stepped as one batch."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.envs.config import WorldModelEnvConfig
    from genie_gym.envs.torchrl_env import TorchRLWorldModelEnv
    from genie_gym.envs.vector_env import WorldModelVectorEnv
    from genie_gym.envs.world_model_env import WorldModelEnv

__all__ = ["TorchRLWorldModelEnv", "WorldModelEnv", "WorldModelEnvConfig", "WorldModelVectorEnv"]

# Loaded when first used: the configuration must not wait for torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "TorchRLWorldModelEnv": "genie_gym.envs.torchrl_env:TorchRLWorldModelEnv",
        "WorldModelEnv": "genie_gym.envs.world_model_env:WorldModelEnv",
        "WorldModelEnvConfig": "genie_gym.envs.config:WorldModelEnvConfig",
        "WorldModelVectorEnv": "genie_gym.envs.vector_env:WorldModelVectorEnv",
    },
)
