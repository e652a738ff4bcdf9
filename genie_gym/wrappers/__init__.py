"""Gymnasium wrappers. `genie_gym.wrappers.vector` holds those for vector environments, with the same names."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.wrappers.autoexplore import AutoExploreReward

__all__ = ["AutoExploreReward"]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "AutoExploreReward": "genie_gym.wrappers.autoexplore:AutoExploreReward",
    },
)
