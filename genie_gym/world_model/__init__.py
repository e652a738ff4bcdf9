"""Trained parts, frozen and composed: the world model and its checkpoint folder."""

from genie_gym.world_model.buttons import ButtonMap
from genie_gym.world_model.checkpoint import Checkpoint
from genie_gym.world_model.world_model import DreamState, Outcome, Sampling, WorldModel

__all__ = ["ButtonMap", "Checkpoint", "DreamState", "Outcome", "Sampling", "WorldModel"]
