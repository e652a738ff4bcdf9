"""Trained parts, frozen and composed: the world model and its checkpoint folder."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.world_model.actions.action_map import ActionMap
    from genie_gym.world_model.checkpoint import Checkpoint
    from genie_gym.world_model.model import Outcome, RolloutState, WorldModel
    from genie_gym.world_model.sampling import SamplingConfig

__all__ = ["ActionMap", "Checkpoint", "Outcome", "RolloutState", "SamplingConfig", "WorldModel"]

# Loaded when first used: configurations and the resolver must not wait for torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "ActionMap": "genie_gym.world_model.actions.action_map:ActionMap",
        "Checkpoint": "genie_gym.world_model.checkpoint:Checkpoint",
        "Outcome": "genie_gym.world_model.model:Outcome",
        "RolloutState": "genie_gym.world_model.model:RolloutState",
        "SamplingConfig": "genie_gym.world_model.sampling:SamplingConfig",
        "WorldModel": "genie_gym.world_model.model:WorldModel",
    },
)
