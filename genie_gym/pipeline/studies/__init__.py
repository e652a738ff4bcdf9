"""Studies of the inside of a model: what its codes mean, where it is unsure, what its actions do (paper section 5)."""

from genie_gym.pipeline.studies.codes import code_usage, largest_changes, neighbours, static_token, swapped_pictures
from genie_gym.pipeline.studies.doubts import (
    autoexplore,
    chance_to_exceed,
    reward_maps,
    strange_rewards,
    uncertainty_maps,
)
from genie_gym.pipeline.studies.strips import action_differences, action_strips, changes_by_action
from genie_gym.pipeline.studies.studied_play import Play, dreamed_play, recorded_play

__all__ = [
    "Play",
    "action_differences",
    "action_strips",
    "autoexplore",
    "chance_to_exceed",
    "changes_by_action",
    "code_usage",
    "dreamed_play",
    "largest_changes",
    "neighbours",
    "recorded_play",
    "reward_maps",
    "static_token",
    "strange_rewards",
    "swapped_pictures",
    "uncertainty_maps",
]
